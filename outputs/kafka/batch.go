package kafka

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/segmentio/kafka-go/compress"

	"github.com/siemrelay/siemrelay/outputs"
)

// A record batch, version 2 (https://kafka.apache.org/documentation/#recordbatch):
//
//	 0 base offset       8  0; the broker sets it
//	 8 length            4  of what follows
//	12 leader epoch      4  -1; the broker sets it
//	16 magic             1  2
//	17 crc               4  CRC-32C of what follows
//	21 attributes        2  the low three bits are the compression
//	23 last offset delta 4  records - 1
//	27 base timestamp    8  of the first record, milliseconds
//	35 max timestamp     8
//	43 producer id       8  -1: none
//	51 producer epoch    2  -1: none
//	53 base sequence     4  -1: none
//	57 records           4
//	61 the records, compressed together
const (
	batchOverhead = 61
	atLength      = 8
	atCRC         = 17
	atAttributes  = 21
	// recordOverhead bounds what a record takes besides its key, value and headers:
	// attributes, and varints of at most 5 bytes (10 for the timestamp).
	recordOverhead = 1 + 10 + 5*5
	headerOverhead = 2 * 5
)

// Header is a header that every record of an output has.
type Header struct{ Key, Value string }

// stamp marks a batch with its producer, so that a broker takes it once only.
type stamp struct {
	producer int64
	epoch    int16
	sequence int32
}

// unmarked is the stamp of a batch that a broker takes as often as it comes.
func unmarked() stamp { return stamp{-1, -1, -1} }

// codecs are the compressions by their names in the configuration; nil is none.
func codecs() map[string]compress.Codec {
	return map[string]compress.Codec{
		"none":   nil,
		"gzip":   &compress.GzipCodec,
		"snappy": &compress.SnappyCodec,
		"lz4":    &compress.Lz4Codec,
		"zstd":   &compress.ZstdCodec,
	}
}

// encoder writes messages as record batches.
type encoder struct {
	codec   compress.Codec
	headers []Header // of every record, after those of the message
	fixed   int      // bytes of headers
}

func newEncoder(codec compress.Codec, headers []Header) encoder {
	e := encoder{codec: codec, headers: headers}
	for _, h := range headers {
		e.fixed += len(h.Key) + len(h.Value) + headerOverhead
	}
	return e
}

const (
	headerID      = "event.id"
	headerDataset = "event.dataset"
	headerKind    = "event.kind"
)

// size is at least what the message takes in a batch before compression.
func (e *encoder) size(m *outputs.Message) int {
	return recordOverhead + len(m.Key) + len(m.Body) + e.fixed +
		len(headerID) + len(m.ID) + len(headerDataset) + len(m.Dataset) + len(headerKind) + len(m.EventKind) + 3*headerOverhead
}

// batch returns the messages as one record batch with its length before it, which
// is how a produce request holds it.
func (e *encoder) batch(list []*outputs.Message, s stamp) ([]byte, error) {
	size := 4 + batchOverhead
	for _, m := range list {
		size += e.size(m)
	}
	first, last := list[0].Accepted.UnixMilli(), list[0].Accepted.UnixMilli()
	var record []byte
	records := make([]byte, 0, size)
	for i, m := range list {
		last = max(last, m.Accepted.UnixMilli())
		record = e.record(record[:0], m, i, m.Accepted.UnixMilli()-first)
		records = binary.AppendVarint(records, int64(len(record)))
		records = append(records, record...)
	}
	attributes := uint16(0)
	if e.codec != nil {
		attributes = uint16(e.codec.Code())
		var err error
		if records, err = e.compress(records); err != nil {
			return nil, err
		}
	}
	b := make([]byte, 4, 4+batchOverhead+len(records))
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, attributes)
	b = binary.BigEndian.AppendUint32(b, uint32(len(list)-1))
	b = binary.BigEndian.AppendUint64(b, uint64(first))
	b = binary.BigEndian.AppendUint64(b, uint64(last))
	b = binary.BigEndian.AppendUint64(b, uint64(s.producer))
	b = binary.BigEndian.AppendUint16(b, uint16(s.epoch))
	b = binary.BigEndian.AppendUint32(b, uint32(s.sequence))
	b = binary.BigEndian.AppendUint32(b, uint32(len(list)))
	b = append(b, records...)

	whole := b[4:]
	binary.BigEndian.PutUint32(b, uint32(len(whole)))
	binary.BigEndian.PutUint32(whole[atLength:], uint32(len(whole)-atLength-4))
	binary.BigEndian.PutUint32(whole[atCRC:], crc32.Checksum(whole[atAttributes:], crc32.MakeTable(crc32.Castagnoli)))
	return b, nil
}

func (e *encoder) record(dst []byte, m *outputs.Message, i int, delta int64) []byte {
	dst = append(dst, 0) // attributes
	dst = binary.AppendVarint(dst, delta)
	dst = binary.AppendVarint(dst, int64(i))
	dst = appendText(dst, m.Key)
	dst = binary.AppendVarint(dst, int64(len(m.Body)))
	dst = append(dst, m.Body...)
	dst = binary.AppendVarint(dst, int64(3+len(e.headers)))
	dst = appendText(appendText(dst, headerID), m.ID)
	dst = appendText(appendText(dst, headerDataset), m.Dataset)
	dst = appendText(appendText(dst, headerKind), m.EventKind)
	for _, h := range e.headers {
		dst = appendText(appendText(dst, h.Key), h.Value)
	}
	return dst
}

func appendText(dst []byte, text string) []byte {
	return append(binary.AppendVarint(dst, int64(len(text))), text...)
}

func (e *encoder) compress(records []byte) ([]byte, error) {
	var small bytes.Buffer
	small.Grow(len(records) / 2)
	w := e.codec.NewWriter(&small)
	if _, err := w.Write(records); err != nil {
		return nil, fmt.Errorf("compress %d bytes with %s: %w", len(records), e.codec.Name(), err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress %d bytes with %s: %w", len(records), e.codec.Name(), err)
	}
	return small.Bytes(), nil
}
