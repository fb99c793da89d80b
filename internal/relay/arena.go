package relay

// arena is the memory of what a batch holds, in pieces that the next batch fills again. One
// buffer that grows would be moved each time, and the messages that are in the batch would
// keep every one that it has outgrown alive: five times as much at the end.
type arena struct {
	pieces  [][]byte // each up to its length in use
	filling int      // the index of the one that is being filled
	size    int      // bytes in use, in all
}

const (
	pieceSize = 256 << 10
	// pieceEnd is how much room at the end of a piece is not begun with: most events
	// would not fit in there, and be written twice.
	pieceEnd = 8 << 10
)

// room returns free memory to append to. What came of that is given to keep, or to
// nobody.
func (a *arena) room() []byte {
	if a.filling < len(a.pieces) && cap(a.pieces[a.filling])-len(a.pieces[a.filling]) < pieceEnd {
		a.filling++
	}
	if a.filling == len(a.pieces) {
		a.pieces = append(a.pieces, make([]byte, 0, pieceSize))
	}
	p := a.pieces[a.filling]
	return p[len(p):len(p):cap(p)]
}

// keep takes what room returned, with something appended to it, into the arena, and
// returns it without its free end. What was too large for the piece has been moved out of
// it, and stays by itself.
func (a *arena) keep(b []byte) []byte {
	a.size += len(b)
	p := a.pieces[a.filling]
	switch {
	case cap(b) > 0 && &b[:1][0] == &p[len(p):cap(p)][0]:
		a.pieces[a.filling] = p[:len(p)+len(b)]
	case len(p) > 0: // or each of many like it would be moved out of the same piece
		a.filling++
	}
	return b[:len(b):len(b)]
}

// copy takes a copy of b into the arena.
func (a *arena) copy(b []byte) []byte { return a.keep(append(a.room(), b...)) }

// reset ends the use of all that is in the arena, and gives back the pieces beyond
// those that so many bytes need.
func (a *arena) reset(most int) {
	most = (most + pieceSize - pieceEnd - 1) / (pieceSize - pieceEnd)
	if len(a.pieces) > most {
		clear(a.pieces[most:])
		a.pieces = a.pieces[:most]
	}
	for i, p := range a.pieces {
		a.pieces[i] = p[:0]
	}
	a.filling, a.size = 0, 0
}
