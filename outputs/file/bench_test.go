package file_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/file"
)

// noSync is a disk that costs nothing, to tell what the real one costs.
type noSync struct{ file.OS }

type noSyncFile struct{ file.File }

func (noSyncFile) Sync() error { return nil }

func (n noSync) OpenFile(name string, flag int, perm os.FileMode) (file.File, error) {
	f, err := n.OS.OpenFile(name, flag, perm)
	return noSyncFile{f}, err
}

func BenchmarkSend(b *testing.B) {
	for _, disk := range []struct {
		name string
		fs   file.FS
	}{{"sync", file.OS{}}, {"nosync", noSync{}}} {
		for _, n := range []int{1, 100, 1000} {
			b.Run(fmt.Sprintf("%s/events=%d", disk.name, n), func(b *testing.B) {
				out := newOutput(b, filepath.Join(b.TempDir(), "events"), file.Options{FS: disk.fs})
				batch := make([]outputs.Message, n)
				for i := range batch {
					batch[i].Body = bytes.Repeat([]byte{'x'}, 2000)
				}
				b.SetBytes(int64(n * 2001))
				b.ReportAllocs()
				for b.Loop() {
					if err := out.Send(context.Background(), batch); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
