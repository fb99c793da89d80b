package relay_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/siemrelay/siemrelay/internal/relay"
	"github.com/siemrelay/siemrelay/normalize"
)

func TestBatchByCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newSource(events(25)...), &output{}, func(o *relay.Options) { o.Batch.MaxWait = time.Minute })
		// A full batch goes at once; the rest waits for more.
		r.wantSent(upTo(10), upTo(20)[10:])
		r.wantCursor(21)
		r.after(59 * time.Second)
		r.wantCursor(21)
		r.after(time.Second)
		r.wantDelivered(upTo(25)...)
		r.wantCursor(26)
		r.end()
	})
}

// TestBatchByBytes: the limit holds for the encoded bytes, and one event that is
// larger goes alone.
func TestBatchByBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sizes := []int{0, 40, 40, 20, 30, 101, 10, 90, 1}
		var raws []normalize.Raw
		for i := 1; i < len(sizes); i++ {
			raws = append(raws, event(i, "a", "x"))
		}
		r := start(t, newSource(raws...), &output{}, func(o *relay.Options) {
			o.Batch.MaxBytes, o.Batch.MaxWait = 100, time.Minute
			o.Encode = func(dst []byte, e *normalize.Event) []byte {
				return append(dst, strings.Repeat("x", sizes[e.Sequence])...)
			}
		})
		r.after(time.Minute)
		r.wantSent([]uint64{1, 2, 3}, []uint64{4}, []uint64{5}, []uint64{6, 7}, []uint64{8})
		r.wantCursor(9)
		r.end()
	})
}

// TestBatchByWait: the wait counts from the first event of a batch.
func TestBatchByWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newSource(), &output{}, func(o *relay.Options) { o.Batch.MaxWait = 10 * time.Second })
		r.after(time.Hour)
		r.source.add(event(1, "a", "x"))
		r.after(6 * time.Second)
		r.source.add(event(2, "a", "x"))
		r.after(3 * time.Second)
		r.wantSent()
		r.after(time.Second)
		r.wantSent([]uint64{1, 2})
		r.source.add(event(3, "a", "x"))
		r.after(9 * time.Second)
		r.wantCursor(3)
		r.after(time.Second)
		r.wantSent([]uint64{1, 2}, []uint64{3})
		r.end()
	})
}

// TestLargeBatchIsForgotten: what one outlier took is given back.
func TestLargeBatchIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var room int // of the buffer that the encoder got
		s := newSource(event(1, "a", "x"))
		r := start(t, s, &output{}, func(o *relay.Options) {
			o.Batch.MaxBytes = 1000
			o.Encode = func(dst []byte, e *normalize.Event) []byte {
				room = cap(dst)
				if e.Sequence == 2 {
					return append(dst, make([]byte, 1<<20)...)
				}
				return append(dst, make([]byte, 900)...)
			}
		})
		for i := range 3 {
			s.add(event(i+2, "a", "x"))
			synctest.Wait()
			if i > 0 && room > 256<<10 {
				t.Errorf("after a large event a buffer of %d bytes is kept", room)
			}
		}
		if room < 900 {
			t.Errorf("a buffer of %d bytes is used again, want one that a batch fits into", room)
		}
		r.wantCursor(5)
		r.end()
	})
}
