package spool_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/siemrelay/siemrelay/internal/spool"
)

func benchOptions(b *testing.B) spool.Options {
	o := options(spool.Disk{})
	o.Dir = b.TempDir()
	o.MaxSize = 64 << 30
	return o
}

var benchBody = []byte(`{"pad":"` + strings.Repeat("x", 1400-10) + `"}`)

func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s := mustOpen(b, benchOptions(b))
			defer mustClose(b, s)
			b.SetBytes(int64(len(benchBody)))
			b.ReportAllocs()
			var left atomic.Int64
			left.Store(int64(b.N))
			var wg sync.WaitGroup
			for range writers {
				wg.Go(func() {
					for left.Add(-1) >= 0 {
						if _, err := s.Append(spool.Entry{Body: benchBody}); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

// BenchmarkBareLog is the yardstick for one writer: a write and an fdatasync.
func BenchmarkBareLog(b *testing.B) {
	f, err := spool.Disk{}.Open(b.TempDir()+"/log", os.O_RDWR|os.O_CREATE)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	b.SetBytes(int64(len(benchBody)))
	at := int64(0)
	for b.Loop() {
		if _, err := f.WriteAt(benchBody, at); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		at += int64(len(benchBody))
	}
}

func BenchmarkRead(b *testing.B) {
	s := mustOpen(b, benchOptions(b))
	defer mustClose(b, s)
	c := mustCursor(b, s, "out")
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range b.N/64 + 1 {
				if _, err := s.Append(spool.Entry{Body: benchBody}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.SetBytes(int64(len(benchBody)))
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if _, ok, err := c.Next(); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
