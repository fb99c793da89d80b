package spool_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/siemrelay/siemrelay/internal/spool"
	"github.com/siemrelay/siemrelay/internal/spool/crashfs"
)

// renames counts the segments that were made of a spare.
func renames(fsys *crashfs.FS) *int {
	n := new(int)
	fsys.Fault(func(op crashfs.Op, name string, _ int) error {
		if op == crashfs.OpRename && strings.HasPrefix(name, dir+"/segments/spare-") {
			*n++
		}
		return nil
	})
	return n
}

func TestSegmentsAreMadeOfSpares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := crashfs.New(1)
		o := options(fsys)
		o.MaxSize = 64 << 10
		reg := prometheus.NewRegistry()
		o.Registry = reg
		n := renames(fsys)
		s := mustOpen(t, o)
		c := mustCursor(t, s, "out")
		for i := range 120 {
			mustAppend(t, s, event(i))
			synctest.Wait() // for the preparer
		}
		made := len(segments(fsys))
		if made < 3 || *n != made-1 {
			t.Errorf("%d of %d segments were made of a spare, want all but the first", *n, made)
		}
		if all := drain(t, c); len(all) != 120 {
			t.Errorf("%d events, want 120", len(all))
		}
		if used := counter(t, reg, "siemrelay_spool_bytes"); used > float64(o.MaxSize) {
			t.Errorf("the spool has %v bytes, max_size is %d", used, o.MaxSize)
		}
		mustClose(t, s)
		for _, name := range fsys.Names() {
			fsys.Edit(name, func(b []byte) []byte {
				if len(b) > 0 && b[len(b)-1] == 0 && len(b) > 600 {
					t.Errorf("%s has %d bytes and an unused end", name, len(b))
				}
				return b
			})
			if strings.HasPrefix(name, dir+"/segments/spare-") {
				t.Error("the spare was left behind")
			}
		}
	})
}

// Room that was taken ahead of need is the first to go.
func TestASpareNeverMakesTheSpoolFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stored := map[bool]int{}
		for _, spares := range []bool{false, true} {
			fsys := crashfs.New(1)
			o := options(fsys)
			o.MaxSize = 64 << 10
			s := mustOpen(t, o)
			mustCursor(t, s, "out")
			for {
				if spares {
					synctest.Wait()
				} else {
					fsys.Fault(func(op crashfs.Op, name string, _ int) error {
						if strings.HasPrefix(name, dir+"/segments/spare-") {
							return crashfs.ErrCrashed
						}
						return nil
					})
				}
				if _, err := s.Append(entry(event(5))); err != nil {
					break
				}
				stored[spares]++
			}
			mustClose(t, s)
		}
		if stored[true] != stored[false] {
			t.Errorf("%d events fit with spares, %d without", stored[true], stored[false])
		}
	})
}

// gateFS holds every write to a spare until the gate lets it through.
type gateFS struct {
	spool.FS
	gate chan struct{}
}

type gateFile struct {
	spool.File
	gate chan struct{}
}

func (f gateFS) Open(name string, flag int) (spool.File, error) {
	file, err := f.FS.Open(name, flag)
	if err != nil || !strings.HasPrefix(name, dir+"/segments/spare-") {
		return file, err
	}
	return &gateFile{file, f.gate}, nil
}

func (f *gateFile) WriteAt(p []byte, at int64) (int, error) {
	if len(p) > 4<<10 { // the zeros; a segment that was a spare gets small events
		<-f.gate
	}
	return f.File.WriteAt(p, at)
}

// A disk that is too slow for the spare to be ready in time must not end in zeros
// being written over a segment: the spare comes when the segment after is begun,
// the next one is asked for, and the first is used while that is at work.
func TestALateSpareIsNoDanger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := crashfs.New(1)
		fsys.Resize(128 << 10) // segments of 8 KiB, and room in plenty
		gate := make(chan struct{})
		o := options(gateFS{fsys, gate})
		o.MaxSize = 1 << 20
		n := renames(fsys)
		s := mustOpen(t, o)
		c := mustCursor(t, s, "out")
		late := false
		for i := range 120 {
			mustAppend(t, s, event(i))
			synctest.Wait()
			if !late && len(segments(fsys)) == 2 {
				gate <- struct{}{}
				synctest.Wait()
				late = true
			}
		}
		if *n == 0 {
			t.Error("no segment was made of a spare: nothing was tested")
		}
		close(gate)
		synctest.Wait()
		if all := drain(t, c); len(all) != 120 {
			t.Errorf("%d events, want 120", len(all))
		}
		mustClose(t, s)
	})
}

// quotaFS has less room than it says.
type quotaFS struct{ *crashfs.FS }

func (quotaFS) Space(string) (free, total int64, err error) { return 1 << 30, 1 << 30, nil }

func TestASpareGivesWayToAQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := crashfs.New(1)
		fsys.Resize(230 << 10)
		o := options(quotaFS{fsys})
		o.MaxSize = 1 << 20 // segments of 128 KiB
		s := mustOpen(t, o)
		defer mustClose(t, s)
		mustCursor(t, s, "out")
		refused, stored := 0, 0
		for refused < 5 {
			synctest.Wait() // for the preparer
			if _, err := s.Append(entry(strings.Repeat("x", 4<<10))); err != nil {
				refused++
				continue
			}
			stored += 4 << 10
		}
		if stored < 200<<10 {
			t.Errorf("refused after %d bytes, the disk holds %d", stored, 230<<10)
		}
	})
}
