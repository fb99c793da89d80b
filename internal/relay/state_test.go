package relay_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/siemrelay/siemrelay/internal/relay"
	"github.com/siemrelay/siemrelay/normalize"
	"github.com/siemrelay/siemrelay/outputs"
)

// TestStates: each message of an output that asks has its own record's state, also
// when it is sent again; one whose event says nothing has none; and a state that
// can't be written keeps no event from being delivered.
func TestStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var got []string
		tries := 0
		o := &output{answer: func(_ context.Context, batch []outputs.Message) error {
			mu.Lock()
			defer mu.Unlock()
			if tries++; tries%2 == 1 {
				return errors.New("connection refused")
			}
			for _, m := range batch {
				got = append(got, fmt.Sprintf("%d=%s", m.Sequence, m.State))
			}
			return nil
		}}
		raws := events(30)
		raws[3] = event(4, "none", "x")
		raws[5] = event(6, "panic", "x")
		state := func(dst []byte, e *normalize.Event) []byte {
			dst = append(dst, strings.Repeat("s", int(e.Sequence))...)
			switch e.RecordID {
			case "none":
				return dst[:len(dst)-int(e.Sequence)]
			case "panic":
				panic("no state")
			}
			return dst
		}
		r := start(t, newSource(raws...), o, func(o *relay.Options) { o.State = state })
		r.after(time.Minute)
		r.end()
		var want []string
		for i := 1; i <= 30; i++ {
			text := strings.Repeat("s", i)
			if i == 4 || i == 6 {
				text = ""
			}
			want = append(want, fmt.Sprintf("%d=%s", i, text))
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
	})
}

// TestOverwrite: only the events of a lane that says so are to replace others, and
// without an encoder of states there are none.
func TestOverwrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var got []uint64
		o := &output{answer: func(_ context.Context, batch []outputs.Message) error {
			mu.Lock()
			defer mu.Unlock()
			for _, m := range batch {
				if m.Overwrite {
					got = append(got, m.Sequence)
				}
				if m.State != nil {
					t.Errorf("message %d has the state %q", m.Sequence, m.State)
				}
			}
			return nil
		}}
		replay := newSource(eventsFrom(100, 4)...)
		r := start(t, newSource(events(3)...), o, beside(newSource(eventsFrom(50, 2)...), replay), func(o *relay.Options) {
			o.Lanes[2].Overwrite = func() bool { return true }
			o.Lanes[1].Overwrite = func() bool { return false }
		})
		r.after(time.Minute)
		r.end()
		if want := []uint64{101, 102, 103, 104}; !slices.Equal(got, want) {
			t.Errorf("to replace others: %v, want %v", got, want)
		}
	})
}
