package spool_test

import (
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/spool"
	"github.com/siemrelay/siemrelay/internal/spool/crashfs"
)

// damaged is a closed spool with three cursors: one that has settled nothing, one
// half, one all of n events.
func damaged(t *testing.T, n int, edit func(fsys *crashfs.FS)) (fsys *crashfs.FS, o spool.Options, all []got) {
	t.Helper()
	fsys = crashfs.New(1)
	o = options(fsys)
	o.MaxSize = int64(n) * 512 // in some five segments, if they hold more than one event
	now := time.Date(2026, 6, 19, 9, 30, 0, 0, time.UTC)
	o.Now = func() time.Time { now = now.Add(time.Millisecond); return now }
	s := mustOpen(t, o)
	for i := range n {
		mustAppend(t, s, event(i))
	}
	for name, settled := range map[string]int{"none": 0, "half": n / 2, "all": n} {
		c := mustCursor(t, s, name)
		all = drain(t, c)
		if err := settle(c, uint64(settled)+1); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, s)
	edit(fsys)
	o.MaxSize = 8 << 20
	return fsys, o, all
}

// checkContained opens the spool and checks, for each of its three cursors, that it
// gets every event that can be read and that it had not settled, once and in order,
// that the others are counted, and that what comes afterwards arrives. It returns
// how many events the cursor that had settled none could not read.
func checkContained(t *testing.T, o spool.Options, all []got) (unreadable int) {
	t.Helper()
	s := mustOpen(t, o)
	defer mustClose(t, s)
	fresh := mustAppend(t, s, `{"after":true}`)
	for name, settled := range map[string]int{"none": 0, "half": len(all) / 2, "all": len(all)} {
		c := mustCursor(t, s, name)
		read := drain(t, c)
		if len(read) == 0 || read[len(read)-1].id != fresh {
			t.Fatalf("%s: the event that came after the damage did not arrive", name)
		}
		last := uint64(0)
		for _, g := range read[:len(read)-1] {
			if g.sequence <= last {
				t.Fatalf("%s: sequence %d comes after %d", name, g.sequence, last)
			}
			last = g.sequence
			if g.sequence <= uint64(settled) {
				t.Fatalf("%s: event %d was delivered before and comes again", name, g.sequence)
			}
			if want := all[g.sequence-1]; g != want {
				t.Fatalf("%s: event %d is %v, was %v", name, g.sequence, g, want)
			}
		}
		if err := c.Commit(read[len(read)-1].sequence+1, spool.Outcome{Delivered: uint64(len(read))}); err != nil {
			t.Fatalf("%s: commit: %v", name, err)
		}
		a := account(t, s, name)
		if a.Pending != 0 || int(a.Delivered) != settled+len(read) {
			t.Fatalf("%s: %d events were read, the account is %+v", name, len(read), a)
		}
		if missing := len(all) - settled - (len(read) - 1); missing > 0 && int(a.Unreadable) != missing {
			t.Fatalf("%s: %d events are missing, the account is %+v", name, missing, a)
		}
		if name == "none" {
			unreadable = int(a.Unreadable)
		}
	}
	return unreadable
}

// TestEveryFlippedBitForThreeCursors flips every bit of a whole small segment.
func TestEveryFlippedBitForThreeCursors(t *testing.T) {
	const n = 6
	size := 0
	_, _, all := damaged(t, n, func(fsys *crashfs.FS) {
		fsys.Edit(segments(fsys)[0], func(b []byte) []byte { size = len(b); return b })
	})
	for bit := range size * 8 {
		_, o, _ := damaged(t, n, func(fsys *crashfs.FS) {
			fsys.Edit(segments(fsys)[0], func(b []byte) []byte { b[bit/8] ^= 1 << (bit % 8); return b })
		})
		lost := checkContained(t, o, all)
		if header := bit/8 < 48; lost > 1 || header && lost != 0 || !header && lost != 1 {
			t.Fatalf("bit %d of %d: %d events are lost", bit, size*8, lost)
		}
	}
}

// TestFlippedBytesInTheMiddle is the same in bulk: several segments, several bytes.
func TestFlippedBytesInTheMiddle(t *testing.T) {
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		flips := 1 + rnd.IntN(20)
		fsys, o, all := damaged(t, 2000, func(fsys *crashfs.FS) {
			files := segments(fsys)
			for range flips {
				fsys.Edit(files[rnd.IntN(len(files))], func(b []byte) []byte { b[rnd.IntN(len(b))] ^= byte(1 + rnd.IntN(255)); return b })
			}
		})
		if lost := checkContained(t, o, all); lost > flips {
			t.Fatalf("seed %d: %d events are lost by %d flipped bytes", seed, lost, flips)
		} else if lost > 0 && len(aside(fsys)) == 0 {
			t.Fatalf("seed %d: %d events are lost and no file is kept aside", seed, lost)
		}
	}
}

// TestOddSegments: files that are missing, cut, empty, double, foreign or misnamed.
func TestOddSegments(t *testing.T) {
	foreign := crashfs.New(1)
	o := options(foreign)
	o.Rand = rand.NewChaCha8([32]byte{9})
	s := mustOpen(t, o)
	for i := range 4 {
		mustAppend(t, s, event(i))
	}
	mustClose(t, s)
	var foreignSegment []byte
	foreign.Edit(segments(foreign)[0], func(b []byte) []byte { foreignSegment = append([]byte(nil), b...); return b })
	for name, edit := range map[string]func(fsys *crashfs.FS, files []string){
		"the first is missing":  func(fsys *crashfs.FS, f []string) { fsys.Edit(f[0], func([]byte) []byte { return nil }) },
		"one is missing":        func(fsys *crashfs.FS, f []string) { fsys.Edit(f[1], func([]byte) []byte { return nil }) },
		"the newest is missing": func(fsys *crashfs.FS, f []string) { fsys.Edit(f[len(f)-1], func([]byte) []byte { return nil }) },
		"one is empty":          func(fsys *crashfs.FS, f []string) { fsys.Edit(f[1], func([]byte) []byte { return []byte{} }) },
		"the newest is empty":   func(fsys *crashfs.FS, f []string) { fsys.Edit(f[len(f)-1], func([]byte) []byte { return []byte{} }) },
		"one is cut":            func(fsys *crashfs.FS, f []string) { fsys.Edit(f[1], func(b []byte) []byte { return b[:len(b)/2] }) },
		"one is zeros": func(fsys *crashfs.FS, f []string) {
			fsys.Edit(f[1], func(b []byte) []byte { return make([]byte, len(b)) })
		},
		"one is garbage": func(fsys *crashfs.FS, f []string) {
			fsys.Edit(f[1], func(b []byte) []byte { return []byte(strings.Repeat("\xd7SRE garbage", 400)) })
		},
		"one has another's content": func(fsys *crashfs.FS, f []string) {
			fsys.Edit(f[1], func([]byte) []byte { return foreignSegment })
		},
		"two have changed places": func(fsys *crashfs.FS, f []string) {
			var a, b []byte
			fsys.Edit(f[0], func(x []byte) []byte { a = append(a, x...); return x })
			fsys.Edit(f[1], func(x []byte) []byte { b = append(b, x...); return a })
			fsys.Edit(f[0], func([]byte) []byte { return b })
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, o, all := damaged(t, 200, func(fsys *crashfs.FS) {
				files := segments(fsys)
				if len(files) < 3 {
					t.Fatalf("%d segments, want several", len(files))
				}
				edit(fsys, files)
			})
			lost := checkContained(t, o, all)
			if name == "two have changed places" {
				if lost != 0 {
					t.Errorf("%d events are lost, all can be read", lost)
				}
			} else if lost == 0 || lost > len(all)*2/3 {
				t.Errorf("%d of %d events are lost", lost, len(all))
			}
		})
	}
}

// TestACursorFromTheFuture settles what the log has not got: nobody gets a sequence
// twice, and the other cursors count what is not there.
func TestACursorFromTheFuture(t *testing.T) {
	_, o, _ := damaged(t, 10, func(fsys *crashfs.FS) {
		fsys.Edit(dir+"/cursors/all.cursor", func(b []byte) []byte {
			for _, at := range []int{0, 512} {
				if b[at] == 0 {
					continue
				}
				slot := b[at : at+128]
				next := binary.LittleEndian.Uint64(slot[16:])
				binary.LittleEndian.PutUint64(slot[16:], next+1000)
				binary.LittleEndian.PutUint64(slot[72:], binary.LittleEndian.Uint64(slot[72:])+1000)
				binary.LittleEndian.PutUint32(slot[124:], crc32.Checksum(slot[:124], crc32.MakeTable(crc32.Castagnoli)))
			}
			return b
		})
	})
	s := mustOpen(t, o)
	defer mustClose(t, s)
	id := mustAppend(t, s, event(99))
	for name, want := range map[string]int{"none": 11, "half": 6, "all": 1} {
		c := mustCursor(t, s, name)
		read := drain(t, c)
		if len(read) != want || read[len(read)-1].id != id || read[len(read)-1].sequence != 1011 {
			t.Fatalf("%s read %d events up to %v, want %d up to 1011", name, len(read), read, want)
		}
		if err := c.Commit(1012, spool.Outcome{Delivered: uint64(want)}); err != nil {
			t.Fatal(err)
		}
		if a := account(t, s, name); a.Pending != 0 || name != "all" && a.Unreadable != 1000 {
			t.Errorf("%s: the account is %+v", name, a)
		}
	}
}
