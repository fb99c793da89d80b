package spool

import (
	"crypto/sha256"
	"encoding/binary"
)

const envelopeSize = 48

const (
	flagPossibleRetry = 1 << iota
	flagUnique
)

// digest is the first half of a SHA-256.
type digest [16]byte

func digestOf(b []byte) digest {
	sum := sha256.Sum256(b)
	return digest(sum[:len(digest{})])
}

// envelope is what a record says of its event beside the body.
type envelope struct {
	record, body  digest // zero where the event has no usable id
	came          int64  // wall clock when it came, Unix nanoseconds
	possibleRetry bool
	unique        bool
}

// hasRecord tells whether a retry of the event can be known.
func (e *envelope) hasRecord() bool { return e.record != digest{} }

// appendTo appends the envelope with its checksum.
func (e *envelope) appendTo(dst []byte) []byte {
	at := len(dst)
	dst = append(dst, e.record[:]...)
	dst = append(dst, e.body[:]...)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(e.came))
	var flags byte
	if e.possibleRetry {
		flags |= flagPossibleRetry
	}
	if e.unique {
		flags |= flagUnique
	}
	dst = append(dst, flags, 0, 0, 0)
	return binary.LittleEndian.AppendUint32(dst, checksum(dst[at:]))
}

// parseEnvelope reads the envelope b. Not ok is one that an older siemrelay wrote,
// which has none, or a damaged one. A newer one may have written more than we read.
func parseEnvelope(b []byte) (e envelope, ok bool) {
	if len(b) < envelopeSize || !intact(b[:envelopeSize]) {
		return envelope{}, false
	}
	e.record, e.body = digest(b), digest(b[16:])
	e.came = int64(binary.LittleEndian.Uint64(b[32:]))
	e.possibleRetry = b[40]&flagPossibleRetry != 0
	e.unique = b[40]&flagUnique != 0
	return e, true
}
