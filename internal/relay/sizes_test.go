package relay_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/siemrelay/siemrelay/internal/relay"
	"github.com/siemrelay/siemrelay/normalize"
	"github.com/siemrelay/siemrelay/outputs"
)

// TestEventsOfEverySize: whatever sizes bodies and states have, whatever is sent again or
// refused, and wherever an encoder panics, each event is sent and buried as itself.
func TestEventsOfEverySize(t *testing.T) {
	const n = 300
	r := rand.New(rand.NewPCG(1, 2))
	size := func() int { return []int{0, 10, 3_000, 9_000, 70_000, 270_000}[r.IntN(6)] + r.IntN(50) }
	var raws []normalize.Raw
	bodies, states := make([]string, n+1), make([]string, n+1)
	for i := 1; i <= n; i++ {
		raws = append(raws, event(i, "rec", strings.Repeat("t", size())))
		bodies[i], states[i] = strings.Repeat(string(rune('a'+i%26)), 1+size()), strings.Repeat(string(rune('A'+i%26)), size())
	}
	synctest.Test(t, func(t *testing.T) {
		var o output
		o.set(func(_ context.Context, batch []outputs.Message) error {
			p := &outputs.Partial{}
			for _, m := range batch {
				if string(m.Body) != bodies[m.Sequence] || string(m.State) != states[m.Sequence] {
					t.Errorf("event %d was sent with a body or state that is not its own", m.Sequence)
				}
				x := outputs.Result{Status: []outputs.Status{outputs.Done, outputs.Done, outputs.Retry, outputs.Refused}[r.IntN(4)]}
				if x.Status != outputs.Done {
					x.Err = &outputs.Transient{Err: errors.New("not now")}
				}
				p.Results = append(p.Results, x)
			}
			return []error{p, p, outputs.ErrTooLarge, errors.New("away")}[r.IntN(4)]
		})
		rig := start(t, newSource(raws...), &o, func(o *relay.Options) {
			o.Batch.MaxEvents, o.Batch.MaxBytes = 50, 1<<20
			o.Encode = func(dst []byte, e *normalize.Event) []byte {
				dst = append(dst, bodies[e.Sequence]...)
				if e.Sequence%17 == 0 {
					panic("what was written so far is nobody's")
				}
				return dst
			}
			o.State = func(dst []byte, e *normalize.Event) []byte { return append(dst, states[e.Sequence]...) }
		})
		rig.after(24 * time.Hour)
		rig.wantCursor(n + 1)
		if got := len(rig.output.got()) + len(rig.letters.stored); got != n {
			t.Errorf("%d events are delivered or dead letters, want %d", got, n)
		}
		for _, l := range rig.letters.stored {
			if !bytes.Equal(l.Body, raws[l.Sequence-1].Body) {
				t.Errorf("the dead letter of event %d has a body that is not its own", l.Sequence)
			}
		}
		rig.end()
	})
}
