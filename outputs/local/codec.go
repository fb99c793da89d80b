package local

import (
	_ "embed"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/siemrelay/siemrelay/internal/sqlitefile"
)

// dictionary1 is what documents have in common. Never change it: what was written
// with it can be read only with it. A new one has a new number.
//
//go:embed dictionary-1
var dictionary1 []byte

const dictionaryID = 1

// maxDocument bounds what a stored document may unfold to: damage must not take all
// memory. An ECS document of the largest webhook is far smaller.
const maxDocument = 1 << 30

// codec packs documents, which are alike: a tenth of their size is left.
type codec struct {
	encoder *zstd.Encoder
	decoder *zstd.Decoder
}

func newCodec() (*codec, error) {
	e, err := zstd.NewWriter(nil,
		zstd.WithEncoderDictRaw(dictionaryID, dictionary1), zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(128<<10), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("make a packer: %w", err)
	}
	d, err := zstd.NewReader(nil,
		zstd.WithDecoderDictRaw(dictionaryID, dictionary1), zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderMaxMemory(maxDocument), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, fmt.Errorf("make an unpacker: %w", err)
	}
	return &codec{e, d}, nil
}

func (c *codec) pack(dst, document []byte) []byte { return c.encoder.EncodeAll(document, dst) }

// unpack returns sqlitefile.ErrDamaged for what was not packed, or has changed since:
// it holds a checksum.
func (c *codec) unpack(packed []byte) ([]byte, error) {
	document, err := c.decoder.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: unpack a document: %w", sqlitefile.ErrDamaged, err)
	}
	return document, nil
}

func (c *codec) close() { c.decoder.Close() }
