package normalize

import (
	"strings"
	"testing"
	"time"
)

// The tests of this file are inside the package because what they look at can't be
// reached from outside.

// TestEncoderPanic: no body is known that makes an encoder panic.
func TestEncoderPanic(t *testing.T) {
	encode := total(func(dst []byte, e *Event) []byte {
		dst = append(dst, "half"...)
		if e.EventKind != eventKindError {
			panic("a mistake")
		}
		return append(dst, e.ID+string(e.body)...)
	})
	e := &Event{ID: "id", Accepted: time.Unix(1, 0), body: []byte("{}")}
	if got := string(encode([]byte("before "), e)); got != "before halfid{}" {
		t.Errorf("got %q", got)
	}
}

// TestLargeBuffersAreLetGo: one huge body must not stay in memory for good.
func TestLargeBuffersAreLetGo(t *testing.T) {
	m := &Mapping{}
	var e Event
	long := strings.Repeat(`x`, 2*keepBuffer)
	body := `{"id":["` + long + `"],"\u0061":"` + long + `","b":{` + strings.Repeat(`"k":1,`, 2*keepBuffer) + `"k":[[[[[[[[[["` + long + `"]]]]]]]]]]}}`
	m.Event(&e, Raw{Body: []byte(body)})
	if p := e.payload; cap(p.texts) <= keepBuffer || cap(p.members) <= keepBuffer || cap(p.inner) <= keepBuffer || cap(e.extra) <= keepBuffer {
		t.Fatalf("the body is too small for the test: %d %d %d %d", cap(p.texts), cap(p.members), cap(p.inner), cap(e.extra))
	}
	m.Event(&e, Raw{Body: []byte(`{}`)})
	if p := e.payload; cap(p.texts) > keepBuffer || cap(p.inner) > keepBuffer ||
		cap(p.decoded) > keepBuffer || cap(p.members) > keepBuffer || cap(e.extra) > keepBuffer {
		t.Errorf("kept: %d %d %d %d %d", cap(p.texts), cap(p.inner), cap(p.decoded), cap(p.members), cap(e.extra))
	}
}
