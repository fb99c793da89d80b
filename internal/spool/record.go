package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"time"
)

// Wire constants: part of the format, see the package comment.
const (
	formatVersion = 1

	recordHeaderSize = 40
	recordMagic      = "\xd7SRE"

	// MaxBody is the longest body that a record can hold, in bytes.
	MaxBody = math.MaxInt32
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// sealed appends the checksum of all of b to b.
func sealed(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(b, checksum(b))
}

// intact tells whether b ends with the checksum of what comes before.
func intact(b []byte) bool {
	n := len(b) - 4
	return n >= 0 && binary.LittleEndian.Uint32(b[n:]) == checksum(b[:n])
}

// header is a record's header without its magic and checksum.
type header struct {
	body     int
	envelope int
	sequence uint64
	accepted int64
	payload  uint32 // checksum of envelope and body

	possibleRetry bool // of the envelope; a scanner's next fills it in
}

// size is the length of the whole record in bytes.
func (h header) size() int { return recordHeaderSize + h.envelope + h.body }

// payload is what a record holds, ready to be written.
type payload struct {
	envelope []byte
	body     []byte
	sum      uint32 // see payloadSum
}

func payloadSum(envelope, body []byte) uint32 {
	return crc32.Update(checksum(envelope), castagnoli, body)
}

// appendRecord appends a record whose sequence and acceptance time are not
// known yet; number fills them in.
func appendRecord(dst []byte, p payload) []byte {
	dst = append(dst, recordMagic...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(p.body)))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(p.envelope)))
	dst = append(dst, make([]byte, 18)...)
	dst = binary.LittleEndian.AppendUint32(dst, p.sum)
	dst = append(dst, make([]byte, 8)...)
	dst = append(dst, p.envelope...)
	return append(dst, p.body...)
}

// number completes the header of the record that begins at b.
func number(b []byte, sequence uint64, accepted int64) {
	binary.LittleEndian.PutUint64(b[12:], sequence)
	binary.LittleEndian.PutUint64(b[20:], uint64(accepted))
	binary.LittleEndian.PutUint32(b[36:], checksum(b[:36]))
}

var (
	errShort      = errors.New("record is cut short")
	errBadHeader  = errors.New("record header is damaged")
	errBadPayload = errors.New("record payload is damaged")
)

// parseHeader reads the header at the start of b.
func parseHeader(b []byte) (header, error) {
	if len(b) < recordHeaderSize {
		return header{}, errShort
	}
	b = b[:recordHeaderSize]
	if string(b[:4]) != recordMagic || !intact(b) {
		return header{}, errBadHeader
	}
	h := header{
		body:     int(binary.LittleEndian.Uint32(b[4:])),
		envelope: int(binary.LittleEndian.Uint16(b[8:])),
		sequence: binary.LittleEndian.Uint64(b[12:]),
		accepted: int64(binary.LittleEndian.Uint64(b[20:])),
		payload:  binary.LittleEndian.Uint32(b[28:]),
	}
	if h.body > MaxBody || h.sequence == 0 {
		return header{}, errBadHeader
	}
	return h, nil
}

// parsePayload checks the payload of the record h at the start of b and returns
// its envelope and its body, parts of b.
func parsePayload(b []byte, h header) (envelope, body []byte, err error) {
	if len(b) < h.size() {
		return nil, nil, errShort
	}
	payload := b[recordHeaderSize:h.size()]
	if checksum(payload) != h.payload {
		return nil, nil, errBadPayload
	}
	return payload[:h.envelope], payload[h.envelope:], nil
}

// findHeader returns the offset in b of the first good record header, or -1.
func findHeader(b []byte) int {
	for at := 0; ; {
		i := bytes.Index(b[at:], []byte(recordMagic))
		if i < 0 {
			return -1
		}
		at += i
		if _, err := parseHeader(b[at:]); err == nil {
			return at
		}
		at++
	}
}

// Record is one accepted event as a cursor returns it.
type Record struct {
	// ID is event.id: 32 lower-case hex digits.
	ID string
	// Sequence counts accepted events from 1.
	Sequence uint64
	// Accepted is when the event was accepted, strictly increasing with Sequence.
	Accepted time.Time
	// PossibleRetry: its bytes equal an earlier event of the same record, and it
	// could not be told whether the sender only repeated itself.
	PossibleRetry bool
	// Body is what was appended. It is valid until the cursor's next Next.
	Body []byte
}
