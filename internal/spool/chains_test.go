package spool

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// The index finds what a list of the newest events has, in every state of its ring: few
// records, so that chains are long, and numbers that pass what a link can hold.
func TestTheIndexFindsTheNewest(t *testing.T) {
	for _, entries := range []int{1, 7, 50, ringPiece + 10} {
		for _, first := range []int{0, (1<<32)/entries*entries - 3*entries} {
			t.Run(fmt.Sprintf("%d/%d", entries, first), func(t *testing.T) {
				checkIndex(t, entries, uint64(first))
			})
		}
	}
}

func checkIndex(t *testing.T, entries int, first uint64) {
	t.Helper()
	x := newRetries(time.Hour, entries)
	x.first, x.next = first, first
	r := rand.New(rand.NewPCG(1, 2))
	random := func() digest { return digest{byte(r.IntN(5)), 9: byte(r.IntN(2))} }
	var list []known // the newest last
	for i := range 8 * entries {
		e := known{record: random(), body: random(), sequence: uint64(i + 1)}
		x.add(e, 0)
		list = append(list, e)
		list = list[max(0, len(list)-entries):]
		record, body := random(), random()
		var of, with uint64
		for _, e := range list {
			if e.record == record {
				of = e.sequence
				if e.body == body {
					with = e.sequence
				}
			}
		}
		if got := sequenceOf(x.newestOf(record)); got != of {
			t.Fatalf("after %d events the newest of a record is %d, want %d", i+1, got, of)
		}
		if got := sequenceOf(x.newestWith(record, body)); got != with {
			t.Fatalf("after %d events the newest with a body is %d, want %d", i+1, got, with)
		}
	}
}

func sequenceOf(e *known) uint64 {
	if e == nil {
		return 0
	}
	return e.sequence
}

// An hour's events at the usual size of the index, and what it takes for each.
func BenchmarkIndex(b *testing.B) {
	x := newRetries(time.Hour, 200_000)
	b.ReportAllocs()
	for i := range b.N {
		k := uint64(i+1) * 0x9e3779b97f4a7c15
		d := envelope{record: digest{byte(k), byte(k >> 8), byte(k >> 16), byte(k >> 24), byte(k >> 32), byte(k >> 40), byte(k >> 48), byte(k >> 56)}}
		d.body = d.record
		if e := x.look(&d, moment{}); e.event != nil {
			b.Fatal("an event is found that never came")
		}
		x.add(known{record: d.record, body: d.body, sequence: uint64(i + 1)}, 0)
	}
}
