package kafka

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/pierrec/lz4/v4"
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
		"lz4":    lz4Codec{&compress.Lz4Codec},
		"zstd":   &compress.ZstdCodec,
	}
}

// lz4Codec is that of the library in smaller blocks: its writer takes 8 MiB for those of
// 4 MiB. It leaves the checksum of a frame out, as the Java producer does: a batch has one.
type lz4Codec struct{ compress.Codec }

// NewWriter implements compress.Codec.
func (lz4Codec) NewWriter(w io.Writer) io.WriteCloser {
	z := lz4.NewWriter(w)
	if err := z.Apply(lz4.BlockSizeOption(lz4.Block256Kb), lz4.ChecksumOption(false)); err != nil {
		panic(fmt.Sprintf("set up lz4: %v", err)) // never: both are options of a new writer
	}
	return z
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

// batch appends the messages to dst as one record batch with its length before it, which
// is how a produce request holds it.
func (e *encoder) batch(dst []byte, list []*outputs.Message, s stamp) ([]byte, error) {
	start := len(dst)
	first, last := list[0].Accepted.UnixMilli(), list[0].Accepted.UnixMilli()
	size := 4 + batchOverhead
	for _, m := range list {
		last = max(last, m.Accepted.UnixMilli())
		size += e.size(m)
	}
	attributes := uint16(0)
	if e.codec != nil {
		attributes = uint16(e.codec.Code())
		size /= 4 // what is left of documents, most often
	}
	b := appender(slices.Grow(dst, size))
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, attributes)
	b = binary.BigEndian.AppendUint32(b, uint32(len(list)-1))
	b = binary.BigEndian.AppendUint64(b, uint64(first))
	b = binary.BigEndian.AppendUint64(b, uint64(last))
	b = binary.BigEndian.AppendUint64(b, uint64(s.producer))
	b = binary.BigEndian.AppendUint16(b, uint16(s.epoch))
	b = binary.BigEndian.AppendUint32(b, uint32(s.sequence))
	b = binary.BigEndian.AppendUint32(b, uint32(len(list)))
	if err := e.records(&b, list, first); err != nil {
		return nil, err
	}
	whole := b[start+4:]
	binary.BigEndian.PutUint32(b[start:], uint32(len(whole)))
	binary.BigEndian.PutUint32(whole[atLength:], uint32(len(whole)-atLength-4))
	binary.BigEndian.PutUint32(whole[atCRC:], crc32.Checksum(whole[atAttributes:], crc32.MakeTable(crc32.Castagnoli)))
	return b, nil
}

// appender is a writer onto its own end.
type appender []byte

func (a *appender) Write(p []byte) (int, error) {
	*a = append(*a, p...)
	return len(p), nil
}

// records appends the records, compressed if there is a codec.
func (e *encoder) records(b *appender, list []*outputs.Message, first int64) error {
	if e.codec == nil {
		return e.write(b, list, first)
	}
	w := e.codec.NewWriter(b)
	err := e.write(w, list, first)
	if wrong := w.Close(); err == nil {
		err = wrong
	}
	if err != nil {
		return fmt.Errorf("compress %d events with %s: %w", len(list), e.codec.Name(), err)
	}
	return nil
}

// write writes the records: of each what stands before its value, the value, and what
// stands behind it.
func (e *encoder) write(w io.Writer, list []*outputs.Message, first int64) error {
	var head, tail []byte
	for i, m := range list {
		head = append(head[:0], 0) // attributes
		head = binary.AppendVarint(head, m.Accepted.UnixMilli()-first)
		head = binary.AppendVarint(head, int64(i))
		head = appendText(head, m.Key)
		head = binary.AppendVarint(head, int64(len(m.Body)))
		tail = e.appendHeaders(tail[:0], m)
		var length [binary.MaxVarintLen64]byte
		n := binary.PutVarint(length[:], int64(len(head)+len(m.Body)+len(tail)))
		for _, part := range [...][]byte{length[:n], head, m.Body, tail} {
			if _, err := w.Write(part); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *encoder) appendHeaders(dst []byte, m *outputs.Message) []byte {
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
