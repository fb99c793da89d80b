package spool_test

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/siemrelay/siemrelay/internal/spool"
	"github.com/siemrelay/siemrelay/internal/spool/crashfs"
)

// newerVersion raises the format version at offset 4 or 8 of a file, or of both
// of a cursor's slots, and mends the checksum.
func newerVersion(b []byte) []byte {
	raise := func(part []byte, at int) {
		binary.LittleEndian.PutUint32(part[at:], 99)
		n := len(part) - 4
		binary.LittleEndian.PutUint32(part[n:], crc32.Checksum(part[:n], crc32.MakeTable(crc32.Castagnoli)))
	}
	switch {
	case string(b[:8]) == "SRSPOOL\n":
		raise(b, 8)
	case string(b[1:4]) == "SRH":
		raise(b[:48], 4)
	default:
		for _, at := range []int{0, 512} {
			if b[at] != 0 {
				raise(b[at:at+128], 4)
			}
		}
	}
	return b
}

// filled returns a disk with a closed spool of n events in one segment, and the
// events.
func filled(t *testing.T, n int) (*crashfs.FS, []got) {
	t.Helper()
	fsys := crashfs.New(1)
	o := options(fsys)
	o.MaxSize = 1 << 20
	s := mustOpen(t, o)
	c := mustCursor(t, s, "out")
	for i := range n {
		mustAppend(t, s, event(i))
	}
	all := drain(t, c)
	mustClose(t, s)
	return fsys, all
}

// reread opens the spool and returns what its cursor gets, and how many events
// were counted as unreadable.
func reread(t *testing.T, fsys *crashfs.FS) (all []got, unreadable int) {
	t.Helper()
	o := options(fsys)
	o.MaxSize = 1 << 20
	o.Rand = rand.NewChaCha8([32]byte{2}) // the id must come from the disk
	s := mustOpen(t, o)
	defer mustClose(t, s)
	c := mustCursor(t, s, "out")
	before := account(t, s, "out")
	all = drain(t, c)
	mustAppend(t, s, `{"after":true}`)
	after := drain(t, c)
	if len(after) != 1 || after[0].body != `{"after":true}` {
		t.Fatalf("after the damage it read %v", after)
	}
	if err := c.Commit(after[0].sequence+1, spool.Outcome{Delivered: uint64(len(all) + 1)}); err != nil {
		t.Fatalf("commit: %v", err)
	}
	a := account(t, s, "out")
	if a.Pending != 0 || a.Delivered != before.Delivered+uint64(len(all)+1) {
		t.Fatalf("after %d events were delivered the account is %+v, before it was %+v", len(all)+1, a, before)
	}
	return all, int(a.Unreadable)
}

// killed makes of a closed spool one whose process was killed.
func killed(fsys *crashfs.FS) { fsys.Edit(dir+"/spool.clean", func([]byte) []byte { return nil }) }

// powerless makes of a closed spool one that lost its power, and with it the note that
// is never synced.
func powerless(fsys *crashfs.FS) {
	killed(fsys)
	forgetNote(fsys)
}

func forgetNote(fsys *crashfs.FS) {
	if slices.Contains(fsys.Names(), dir+"/spool.note") {
		fsys.Edit(dir+"/spool.note", func([]byte) []byte { return nil })
	}
}

// TestDamageAtTheEndAfterAKill: the note outlives the process, so that damage at the end
// of the log is told from a torn tail, and counted, and no number is given again.
func TestDamageAtTheEndAfterAKill(t *testing.T) {
	for name, damage := range map[string]func(b []byte) []byte{
		"a flipped bit":           func(b []byte) []byte { b[len(b)-2] ^= 1; return b },
		"cut":                     func(b []byte) []byte { return b[:len(b)-2] },
		"cut and a torn one more": func(b []byte) []byte { return append(b[:len(b)-2], "\xd7SRE garbage"...) },
		"the file is gone":        func([]byte) []byte { return nil },
		"the file is empty":       func([]byte) []byte { return []byte{} },
	} {
		t.Run(name, func(t *testing.T) {
			fsys, all := filled(t, 3)
			killed(fsys)
			fsys.Edit(segments(fsys)[0], damage)
			lost := 1
			if strings.HasPrefix(name, "the file") {
				lost = 3
			}
			for range 2 { // the second start knows no less
				got, unreadable := reread(t, fsys)
				if unreadable != lost || len(got) > 0 && bodies(got) != bodies(all[:3-lost]) {
					t.Fatalf("read %d events, %d unreadable; want %d and %d", len(got), unreadable, 3-lost, lost)
				}
				killed(fsys)
			}
			s := mustOpen(t, options(fsys))
			defer mustClose(t, s)
			if r, err := s.Append(spool.Entry{Body: []byte(event(9))}); err != nil || r.Sequence != 6 {
				t.Errorf("the next event has the number %d, %v; want 6", r.Sequence, err)
			}
		})
	}
}

// TestTornTails cuts the last record at every byte, zeroes it from every byte,
// and puts garbage behind it.
func TestTornTails(t *testing.T) {
	const n = 4
	fsys, all := filled(t, n)
	size, last := 0, 40+len(event(n-1))
	fsys.Edit(segments(fsys)[0], func(b []byte) []byte { size = len(b); return b })
	rng := rand.New(rand.NewPCG(1, 1))
	garbage := make([]byte, 500)
	for i := range garbage {
		garbage[i] = byte(rng.Uint32())
	}
	spoil := map[string]func(b []byte, at int) []byte{
		"cut":           func(b []byte, at int) []byte { return b[:at] },
		"zeroed":        func(b []byte, at int) []byte { clear(b[at:]); return b },
		"cut + zeros":   func(b []byte, at int) []byte { return append(b[:at:at], make([]byte, 300)...) },
		"cut + garbage": func(b []byte, at int) []byte { return append(b[:at:at], garbage...) },
	}
	for name, change := range spoil {
		t.Run(name, func(t *testing.T) {
			for at := size - last; at <= size; at++ {
				fsys, _ := filled(t, n)
				powerless(fsys)
				fsys.Edit(segments(fsys)[0], func(b []byte) []byte { return change(b, at) })
				want := all[:n-1]
				if at == size || name == "zeroed" && at == size {
					want = all
				}
				got, unreadable := reread(t, fsys)
				if bodies(got) != bodies(want) || unreadable != 0 {
					t.Fatalf("at byte %d of %d: read %d events, %d unreadable; want %d, 0", at, size, len(got), unreadable, len(want))
				}
			}
		})
	}
}

// TestEveryFlippedBit costs at most the record that it is in, and a closed
// segment's is counted and kept.
func TestEveryFlippedBit(t *testing.T) {
	const n = 3
	base, all := filled(t, n)
	size := 0
	base.Edit(segments(base)[0], func(b []byte) []byte { size = len(b); return b })
	for bit := range size * 8 {
		fsys, _ := filled(t, n)
		// A second segment, so that the damage is not in the newest one.
		o := options(fsys)
		o.MaxSize = 1 << 20
		s := mustOpen(t, o)
		mustAppend(t, s, event(n))
		mustClose(t, s)
		fsys.Edit(segments(fsys)[0], func(b []byte) []byte { b[bit/8] ^= 1 << (bit % 8); return b })
		got, unreadable := reread(t, fsys)
		if len(got)+unreadable != n+1 || unreadable > 1 {
			t.Fatalf("bit %d: read %d events, %d unreadable, of %d", bit, len(got), unreadable, n+1)
		}
		for _, g := range got {
			want := event(n)
			if g.sequence <= n {
				want = all[g.sequence-1].body
			}
			if g.body != want {
				t.Fatalf("bit %d: sequence %d is %q, want %q", bit, g.sequence, g.body, want)
			}
		}
		if inHeader := bit/8 < 48; !inHeader && (unreadable != 1 || len(aside(fsys)) != 1) {
			t.Fatalf("bit %d: %d unreadable, kept aside %v", bit, unreadable, aside(fsys))
		}
	}
}

func TestDamagedNewestSegmentIsKeptAside(t *testing.T) {
	fsys, _ := filled(t, 3)
	powerless(fsys)
	fsys.Edit(segments(fsys)[0], func(b []byte) []byte { b[len(b)-2] ^= 1; return b })
	if got, _ := reread(t, fsys); len(got) != 2 {
		t.Errorf("read %d events, want 2", len(got))
	}
	if kept := aside(fsys); len(kept) != 1 || !strings.HasSuffix(kept[0], ".tail") {
		t.Errorf("kept aside %v, want the tail that was cut", kept)
	}
}

// On a full disk there is no room for a copy of the tail.
func TestDamagedNewestSegmentIsKeptOnAFullDisk(t *testing.T) {
	for n := range 3 { // the damage is in the last record; with n = 0 it is the only one
		fsys, all := filled(t, n+1)
		powerless(fsys)
		var damaged string
		fsys.Edit(segments(fsys)[0], func(b []byte) []byte { b[len(b)-2] ^= 1; damaged = string(b); return b })
		fsys.Resize(1)
		o := options(fsys)
		o.MaxSize = 1 << 20
		for range 2 {
			s := mustOpen(t, o)
			if got := drain(t, mustCursor(t, s, "out")); bodies(got) != bodies(all[:n]) {
				t.Errorf("read %v, want %v", got, all[:n])
			}
			mustClose(t, s)
		}
		fsys.Resize(0)
		if got, unreadable := reread(t, fsys); bodies(got) != bodies(all[:n]) || unreadable != 0 {
			t.Errorf("with room again read %v and %d unreadable, want %v", got, unreadable, all[:n])
		}
		kept := false
		for _, name := range aside(fsys) {
			fsys.Edit(name, func(b []byte) []byte {
				kept = kept || strings.HasSuffix(damaged, string(b))
				return b
			})
		}
		if !kept {
			t.Errorf("the damaged event is not in %v", aside(fsys))
		}
	}
}

func TestAMissingSegmentIsCounted(t *testing.T) {
	fsys := crashfs.New(1)
	for i := range 3 { // one segment each
		s := mustOpen(t, options(fsys))
		mustCursor(t, s, "out")
		mustAppend(t, s, event(i))
		mustClose(t, s)
	}
	for _, missing := range []int{1, 0} {
		fsys.Edit(segments(fsys)[missing], func([]byte) []byte { return nil })
	}
	got, unreadable := reread(t, fsys)
	if len(got) != 1 || got[0].body != event(2) || unreadable != 2 {
		t.Errorf("read %v, %d unreadable; want the third event and 2", got, unreadable)
	}
}

// Somebody copied a segment back under a number of today. Its place is where its
// sequences are, or it would hide those that came since.
func TestACopiedSegmentHidesNothing(t *testing.T) {
	fsys := crashfs.New(1)
	var all []got
	for i := range 3 { // one segment each
		s := mustOpen(t, options(fsys))
		c := mustCursor(t, s, "out")
		mustAppend(t, s, event(i))
		all = append(all[:0], drain(t, c)...)
		mustClose(t, s)
	}
	for i, name := range segments(fsys)[:2] {
		copied := fmt.Sprintf("%s/segments/%010d%s", dir, 70-i, filepath.Base(name)[10:])
		if err := fsys.Link(name, copied); err != nil {
			t.Fatal(err)
		}
	}
	if got, unreadable := reread(t, fsys); bodies(got) != bodies(all) || unreadable != 0 {
		t.Errorf("read %v, %d unreadable, want %v", got, unreadable, all)
	}
	s := mustOpen(t, options(fsys))
	defer mustClose(t, s)
	if id := mustAppend(t, s, event(9)); id == all[1].id || id == all[2].id {
		t.Errorf("event id %s was given twice", id)
	}
}

// Nothing comes after the lost record that an output could settle it with.
func TestLostRecordsAtTheEndDoNotHoldTheCursorBack(t *testing.T) {
	fsys := crashfs.New(1)
	o := options(fsys)
	s := mustOpen(t, o)
	defer mustClose(t, s)
	c := mustCursor(t, s, "out")
	mustAppend(t, s, event(0))
	mustAppend(t, s, event(1))
	fsys.Edit(segments(fsys)[0], func(b []byte) []byte { b[len(b)-2] ^= 1; return b })
	if n := len(drain(t, c)); n != 1 {
		t.Fatalf("read %d, want 1", n)
	}
	if err := settle(c, 2); err != nil {
		t.Fatal(err)
	}
	if err := s.Drained(t.Context()); err != nil {
		t.Fatal(err)
	}
	fsys.Edit(segments(fsys)[0], func(b []byte) []byte { return b })
	mustAppend(t, s, event(2))
	fsys.Edit(segments(fsys)[0], func(b []byte) []byte { b[len(b)-2] ^= 1; return b })
	drain(t, c) // and nobody commits, for nothing was returned
	if err := s.Drained(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedMetaAndCursors(t *testing.T) {
	spoil := func(b []byte) []byte { return []byte("spoilt") }
	gone := func([]byte) []byte { return nil }
	for name, change := range map[string]func([]byte) []byte{"spoilt": spoil, "empty": func([]byte) []byte { return []byte{} }, "gone": gone} {
		t.Run("meta "+name, func(t *testing.T) {
			fsys, all := filled(t, 3)
			fsys.Edit(dir+"/spool.meta", change)
			if got, _ := reread(t, fsys); bodies(got) != bodies(all) || got[0].id != all[0].id {
				t.Errorf("read %v, want %v with the same ids", got, all)
			}
		})
		t.Run("cursor "+name, func(t *testing.T) {
			fsys, all := filled(t, 3)
			s := mustOpen(t, options(fsys))
			c := mustCursor(t, s, "out")
			drain(t, c)
			if err := settle(c, 3); err != nil {
				t.Fatal(err)
			}
			mustClose(t, s)
			fsys.Edit(dir+"/cursors/out.cursor", change)
			if got, _ := reread(t, fsys); bodies(got) != bodies(all) {
				t.Errorf("read %v, want everything again", got)
			}
		})
	}
}

func TestOneDamagedCursorSlotCostsOneCommit(t *testing.T) {
	for slot := range 2 {
		fsys, _ := filled(t, 4)
		s := mustOpen(t, options(fsys))
		c := mustCursor(t, s, "out")
		drain(t, c)
		for next := range uint64(3) {
			if err := settle(c, next+2); err != nil {
				t.Fatal(err)
			}
		}
		mustClose(t, s)
		fsys.Edit(dir+"/cursors/out.cursor", func(b []byte) []byte { b[slot*512+16] ^= 1; return b })
		got, _ := reread(t, fsys)
		if n := len(got); n != 1 && n != 2 {
			t.Errorf("slot %d: read %d events, want the last one or two", slot, n)
		}
	}
}

// TestEveryFlippedBitOfMetaAndCursor costs nothing at all: the id is in the
// segments too, and the cursor, whose other slot was never written, begins again.
func TestEveryFlippedBitOfMetaAndCursor(t *testing.T) {
	for name, size := range map[string]int{"/spool.meta": 44, "/cursors/out.cursor": 640} {
		for bit := range size * 8 {
			fsys, all := filled(t, 3)
			fsys.Edit(dir+name, func(b []byte) []byte { b[bit/8] ^= 1 << (bit % 8); return b })
			got, _ := reread(t, fsys)
			if bodies(got) != bodies(all) || got[0].id != all[0].id {
				t.Fatalf("%s, bit %d: read %v, want %v with the same ids", name, bit, got, all)
			}
		}
	}
}

func TestIDsAreNotGivenAgainWhenAllNumbersAreLost(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"cursor damaged": func(b []byte) []byte { return b[:10] },
		"cursor gone":    func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			fsys, all := filled(t, 3)
			for _, name := range segments(fsys) {
				fsys.Edit(name, func([]byte) []byte { return nil })
			}
			fsys.Edit(dir+"/cursors/out.cursor", change)
			o := options(fsys)
			o.Rand = rand.NewChaCha8([32]byte{2})
			s := mustOpen(t, o)
			defer mustClose(t, s)
			if id := mustAppend(t, s, event(0)); id == all[0].id {
				t.Errorf("event id %s was given to another event", id)
			}
		})
	}
}

// Where one cursor is left it says how far the numbers had come at least, not how
// far those of a damaged one had.
func TestIDsAreNotGivenAgainWhenSomeNumbersAreLost(t *testing.T) {
	fsys, all := filled(t, 3)
	s := mustOpen(t, options(fsys))
	mustCursor(t, s, "behind")
	mustClose(t, s)
	for _, name := range segments(fsys) {
		fsys.Edit(name, func([]byte) []byte { return nil })
	}
	fsys.Edit(dir+"/cursors/out.cursor", func(b []byte) []byte { return b[:10] })
	o := options(fsys)
	o.Rand = rand.NewChaCha8([32]byte{2})
	s = mustOpen(t, o)
	defer mustClose(t, s)
	if id := mustAppend(t, s, event(0)); id == all[0].id {
		t.Errorf("event id %s was given to another event", id)
	}
}

func TestForeignFilesAreLeftAlone(t *testing.T) {
	fsys, all := filled(t, 2)
	f, err := fsys.Open(dir+"/segments/README", 0o102)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if got, _ := reread(t, fsys); bodies(got) != bodies(all) {
		t.Errorf("read %v, want %v", got, all)
	}
	fsys.Edit(dir+"/segments/README", func(b []byte) []byte { return b })
}

// A record that was acknowledged and then damaged at the end of the log can't be
// told from a torn one where the process was killed: it is cut, and its sequence is given again. Its id is not,
// or Elasticsearch would take the next event for one that it has.
func TestAnIDIsNotGivenAgainWithItsSequence(t *testing.T) {
	fsys, all := filled(t, 3)
	powerless(fsys)
	fsys.Edit(segments(fsys)[0], func(b []byte) []byte { b[len(b)-2] ^= 1; return b })
	s := mustOpen(t, options(fsys))
	defer mustClose(t, s)
	id := mustAppend(t, s, event(3))
	got := drain(t, mustCursor(t, s, "out"))
	last := got[len(got)-1]
	if last.sequence != all[2].sequence {
		t.Fatalf("sequence %d, want %d again: nothing was tested", last.sequence, all[2].sequence)
	}
	if id == all[2].id || last.id != id {
		t.Errorf("event id %s, read back as %s; the lost event had %s", id, last.id, all[2].id)
	}
}

// A bad sector in the header of an older segment costs the id's second copy only.
func TestAnUnreadableSegmentHeaderIsNoReasonNotToStart(t *testing.T) {
	fsys, all := filled(t, 3)
	s := mustOpen(t, options(fsys))
	mustAppend(t, s, event(3)) // a newer segment
	mustClose(t, s)
	bad := segments(fsys)[0]
	first := true
	fsys.Fault(func(op crashfs.Op, name string, _ int) error {
		if op == crashfs.OpRead && name == bad && first {
			first = false
			return syscall.EIO
		}
		return nil
	})
	got, unreadable := reread(t, fsys)
	if len(got) != 4 || unreadable != 0 || got[0].id != all[0].id {
		t.Errorf("read %d events, %d unreadable; want 4, 0", len(got), unreadable)
	}
}
