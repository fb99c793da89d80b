package elasticsearch

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

// TestPayload: what a request sends is its parts, as often as it is read, until they are
// taken back: then it is neither them nor an end.
func TestPayload(t *testing.T) {
	p := newPayload([][]byte{[]byte("one "), {}, []byte("two "), []byte("three")})
	const want = "one two three"
	if p.size != int64(len(want)) {
		t.Errorf("size is %d", p.size)
	}
	for range 2 {
		if err := iotest.TestReader(p.reader(), []byte(want)); err != nil {
			t.Error(err)
		}
	}
	r := p.reader()
	if _, err := io.ReadFull(r, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	p.takeBack()
	for _, r := range []io.Reader{r, p.reader()} {
		if n, err := r.Read(make([]byte, 5)); n != 0 || !errors.Is(err, errTakenBack) {
			t.Errorf("read %d bytes: %v", n, err)
		}
	}
}

func TestReadAll(t *testing.T) {
	text := bytes.Repeat([]byte("0123456789"), 100)
	for _, size := range []int{0, 1, len(text) - 1, len(text), 5 * len(text)} {
		for _, r := range []io.Reader{bytes.NewReader(text), iotest.OneByteReader(bytes.NewReader(text)), iotest.DataErrReader(bytes.NewReader(text))} {
			got, err := readAll(r, make([]byte, size), len(text))
			if err != nil || !bytes.Equal(got, text) {
				t.Errorf("with room for %d: %q, %v", size, got, err)
			}
		}
		if _, err := readAll(bytes.NewReader(text), make([]byte, size), len(text)-1); !errors.Is(err, errReplySize) {
			t.Errorf("a byte too many: %v", err)
		}
	}
}

// TestBuffersAtRest: between two Sends nothing of a batch is kept, and nothing that is
// unusually large.
func TestBuffersAtRest(t *testing.T) {
	doc := []byte(`{"a":1}`)
	b := &buffers{ops: []operation{{id: "0a", doc: doc}}, reply: make([]byte, keepBytes+1)}
	parts, size := b.encode(b.ops)
	if _, err := b.pack(parts); err != nil || size < len(doc) {
		t.Fatal(size, err)
	}
	b.rest()
	for _, op := range b.ops[:cap(b.ops)] {
		if op.doc != nil || op.id != "" {
			t.Errorf("kept %+v", op)
		}
	}
	for _, part := range b.parts[:cap(b.parts)] {
		if part != nil {
			t.Errorf("kept %q", part)
		}
	}
	if b.reply != nil {
		t.Errorf("kept %d bytes of a reply", cap(b.reply))
	}
}
