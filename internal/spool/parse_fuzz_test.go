package spool

import (
	"bytes"
	"io"
	"testing"
)

func FuzzEnvelope(f *testing.F) {
	e := envelope{record: digest{1}, body: digest{2}, came: 3, possibleRetry: true, unique: true}
	f.Add(e.appendTo(nil))
	f.Add(append(e.appendTo(nil), "a newer one is longer"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, b := range [][]byte{b, sealed(b)} {
			e, ok := parseEnvelope(b)
			if !ok {
				continue
			}
			if again, ok := parseEnvelope(e.appendTo(nil)); !ok || again != e {
				t.Errorf("%x is read as %+v, and written and read again as %+v", b, e, again)
			}
		}
	})
}

func FuzzMark(f *testing.F) {
	f.Add(mark{id: spoolID{1}, next: 2, accepted: 3, number: 4, size: 5}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, b := range [][]byte{b, sealed(b)} {
			m, err := parseMark(b)
			if err != nil {
				continue
			}
			if again, err := parseMark(m.encode()); err != nil || again != m {
				t.Errorf("%x is read as %+v, and written and read again as %+v, %v", b, m, again, err)
			}
		}
	})
}

// FuzzSkim: what is read without the bodies is what is read with them, and records
// whose payload is damaged.
func FuzzSkim(f *testing.F) {
	segment := segment{first: 1}
	valid := segment.encodeHeader()
	for i := range 3 {
		e := envelope{record: digest{byte(i)}}
		at := len(valid)
		p := payload{envelope: e.appendTo(nil), body: bytes.Repeat([]byte("x"), i*30000)}
		p.sum = payloadSum(p.envelope, p.body)
		valid = appendRecord(valid, p)
		number(valid[at:], uint64(i+1), int64(i+1))
	}
	f.Add(valid)
	f.Add(valid[:len(valid)-1])
	f.Add(append(append(bytes.Clone(valid[:100]), "gap"...), valid[200:]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		read := func() *scanner {
			return &scanner{file: memory{bytes.NewReader(b)}, off: segmentHeaderSize, limit: int64(len(b))}
		}
		skimmed := map[header]bool{}
		for sc := read(); ; {
			h, e, err := sc.skim()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(e) > h.envelope {
				t.Fatalf("an envelope of %d bytes is read as %d", h.envelope, len(e))
			}
			skimmed[h] = true
		}
		for sc := read(); ; {
			h, _, err := sc.next()
			if err == io.EOF {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if h.possibleRetry = false; !skimmed[h] {
				t.Fatalf("record %d was not skimmed", h.sequence)
			}
		}
	})
}

// memory is a File to read.
type memory struct{ *bytes.Reader }

func (memory) WriteAt([]byte, int64) (int, error) { panic("not written") }
func (memory) Truncate(int64) error               { panic("not written") }
func (memory) Sync() error                        { panic("not written") }
func (memory) Close() error                       { return nil }
func (m memory) Size() (int64, error)             { return m.Reader.Size(), nil }

// A part of the digests finds an event; the whole ones must be the same.
func TestBodiesThatCollideAreNotOne(t *testing.T) {
	x := newRetries(1<<40, 10)
	d := envelope{record: digest{1}, body: digest{1: 1, 15: 1}, unique: true}
	x.add(known{record: d.record, body: d.body, sequence: 1}, 0)
	if e := x.look(&d, moment{}); !e.retry {
		t.Errorf("the same body is %+v, want a retry", e)
	}
	d.body[15] = 2
	if e := x.look(&d, moment{}); e.event != nil {
		t.Errorf("another body is %+v", e)
	}
}

func FuzzNote(f *testing.F) {
	f.Add(note{next: 77, accepted: 12, quiet: 5}.encode(spoolID{1, 2, 3}))
	f.Add([]byte(noteMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		id, n, err := parseNote(b)
		if err != nil {
			return
		}
		if again := n.encode(id); string(again) != string(b) {
			t.Errorf("%x was read and is written as %x", b, again)
		}
	})
}
