package spool

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
)

// chains finds the entries of retries by record, and by record and body: each hash leads
// to its newest entry, and each entry to the next older one with its hash. So nothing has to
// be done where an entry is forgotten: a chain ends where it leads to one. Beside the
// entries themselves that takes eight bytes for each, where a map took some fifty.
//
// A link is the low half of an entry's number, plus one. In billions of entries one that
// was forgotten long ago comes to look like a new one; it leads to an entry that is
// another, which who looks finds out, and to none that is younger.
type chains struct {
	byRecord, byBody []uint32
	shift            int
	factor           uint64 // odd and random: nobody can choose events for one chain
}

// links are those of one entry.
type links struct{ byRecord, byBody uint32 }

func newChains(entries int) chains {
	size := bits.Len(uint(entries))
	return chains{
		byRecord: make([]uint32, 1<<size), byBody: make([]uint32, 1<<size),
		shift: 64 - size, factor: maphash.Bytes(maphash.MakeSeed(), nil) | 1,
	}
}

func recordKey(record digest) uint64 { return binary.LittleEndian.Uint64(record[:]) }

func bodyKey(record, body digest) uint64 {
	return binary.LittleEndian.Uint64(record[8:]) ^ binary.LittleEndian.Uint64(body[:])
}

func (c *chains) slot(key uint64) uint64 { return key * c.factor >> c.shift }

// push puts the entry n, which is e, before all others, and returns what it leads to.
func (c *chains) push(n uint64, e *known) (older links) {
	record, body := &c.byRecord[c.slot(recordKey(e.record))], &c.byBody[c.slot(bodyKey(e.record, e.body))]
	older = links{*record, *body}
	*record, *body = uint32(n)+1, uint32(n)+1
	return older
}

// newestOf returns the newest event of a record, nil if none is remembered.
func (x *retries) newestOf(record digest) *known {
	e, age := x.follow(x.chains.byRecord[x.chains.slot(recordKey(record))], -1)
	for e != nil && e.record != record {
		e, age = x.follow(e.older.byRecord, age)
	}
	return e
}

// newestWith returns the newest event of a record with that body, nil if none is remembered.
func (x *retries) newestWith(record, body digest) *known {
	e, age := x.follow(x.chains.byBody[x.chains.slot(bodyKey(record, body))], -1)
	for e != nil && (e.record != record || e.body != body) {
		e, age = x.follow(e.older.byBody, age)
	}
	return e
}

// follow returns the entry that a link leads to, and its age: how many were added since.
// It is nil if that was forgotten, or is not older than the one with the link, which is
// after so old.
func (x *retries) follow(link uint32, after int) (e *known, age int) {
	age = int(uint32(x.next) - link)
	if age <= after || age >= x.len() {
		return nil, 0
	}
	return x.at(x.next - 1 - uint64(age)), age
}
