package spool_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/spool"
)

func benchOptions(b *testing.B) spool.Options {
	o := options(spool.Disk{})
	o.Dir = b.TempDir()
	o.MaxSize = 64 << 30
	return o
}

var benchBody = []byte(`{"pad":"` + strings.Repeat("x", 1400-10) + `"}`)

// BenchmarkAppend appends events of as many records, with retries looked for and
// without.
func BenchmarkAppend(b *testing.B) {
	for _, window := range []time.Duration{time.Hour, 0} {
		for _, writers := range []int{1, 16, 64, 256} {
			b.Run(fmt.Sprintf("window=%v/writers=%d", window, writers), func(b *testing.B) {
				o := benchOptions(b)
				o.RetryWindow = window
				benchmarkAppend(b, o, writers)
			})
		}
	}
}

func benchmarkAppend(b *testing.B, o spool.Options, writers int) {
	s := mustOpen(b, o)
	defer mustClose(b, s)
	b.SetBytes(int64(len(benchBody)))
	b.ReportAllocs()
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			e := spool.Entry{Body: benchBody}
			for n := left.Add(-1); n >= 0; n = left.Add(-1) {
				binary.LittleEndian.PutUint64(e.Record[:], uint64(n+1)*0x9e3779b97f4a7c15)
				binary.LittleEndian.PutUint64(e.Record[8:], uint64(n+1)*0xc2b2ae3d27d4eb4f)
				if _, err := s.Append(e); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
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
