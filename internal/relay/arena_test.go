package relay

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// What is in an arena stays as it was, whatever comes after it; batch after batch in the
// same memory, and no more of it than a batch needs.
func TestAnArenaKeepsWhatItHas(t *testing.T) {
	const most = 1 << 20
	var a arena
	r := rand.New(rand.NewPCG(1, 2))
	for batch := range 20 {
		largest := []int{10, 3_000, 40_000, 2 * pieceSize}[batch%4]
		var kept [][]byte
		size := 0
		for size < most {
			b := bytes.Repeat([]byte{byte(len(kept))}, r.IntN(largest))
			switch got := append(a.room(), b...); {
			case r.IntN(10) == 0: // given to nobody
			default:
				kept = append(kept, a.keep(got))
				size += len(b)
			}
			kept = append(kept, a.copy(nil))
		}
		if a.size != size {
			t.Fatalf("the size is %d, want %d", a.size, size)
		}
		for i, b := range kept {
			if bytes.Count(b, []byte{byte(i)}) != len(b) || cap(b) != len(b) {
				t.Fatalf("batch %d: number %d of %d is not what came", batch, i, len(kept))
			}
		}
		a.reset(most)
		held := 0
		for _, p := range a.pieces {
			held += cap(p)
		}
		if held > most+most/4 || largest <= 3_000 && held < most || a.size != 0 {
			t.Errorf("after events of up to %d bytes %d are held for the next batch", largest, held)
		}
	}
}

// In a new arena too the first event that does not fit the only piece makes another one.
func TestAnArenaThatIsNew(t *testing.T) {
	for _, size := range []int{pieceEnd, 20_000, pieceSize - 1, pieceSize, pieceSize + 1, 2 * pieceSize} {
		var a arena
		var kept [][]byte
		for n := range 100 {
			kept = append(kept, a.copy(bytes.Repeat([]byte{byte(n)}, size)))
		}
		for n, b := range kept {
			if bytes.Count(b, []byte{byte(n)}) != size {
				t.Fatalf("number %d of size %d is not what came", n, size)
			}
		}
	}
}
