package relay_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/siemrelay/siemrelay/internal/relay"
	"github.com/siemrelay/siemrelay/normalize"
	"github.com/siemrelay/siemrelay/outputs"
)

// refusing refuses the events of the given sequences.
func refusing(sequences ...uint64) func(context.Context, []outputs.Message) error {
	return statusOf(outputs.Result{Status: outputs.Refused, Err: errors.New("will never do")}, sequences...)
}

// failingOn can't deliver the events of the given sequences, for reasons of their own.
func failingOn(sequences ...uint64) func(context.Context, []outputs.Message) error {
	return statusOf(outputs.Result{Status: outputs.Retry, Err: errors.New("strange document")}, sequences...)
}

// statusOf reports r of the given messages, and keeps order.
func statusOf(r outputs.Result, of ...uint64) func(context.Context, []outputs.Message) error {
	return func(_ context.Context, batch []outputs.Message) error {
		p := &outputs.Partial{Results: make([]outputs.Result, len(batch))}
		whole, waiting := true, map[string]bool{}
		for i, m := range batch {
			switch {
			case waiting[m.Key]:
				p.Results[i] = outputs.Result{Status: outputs.Retry, Err: &outputs.Transient{Err: errors.New("an earlier one waits")}}
			case slices.Contains(of, m.Sequence):
				p.Results[i], whole = r, false
				waiting[m.Key] = r.Status == outputs.Retry
			}
		}
		if whole {
			return nil
		}
		return p
	}
}

// TestRefused: a refused event is a dead letter that tells all that is known of it;
// all others are delivered, those of its record too.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &output{answer: script(fails(errDown), refusing(2, 4))}
		raws := events(5)
		raws[1].Tags = []string{"defensecom_possible_retry"}
		raws[2] = event(3, "rec-2", "the same record as number 2")
		first := time.Now()
		r := start(t, newSource(), o, beside(newSource(raws...)), func(o *relay.Options) {
			o.Lanes[1].Overwrite = func() bool { return true }
		})
		r.after(time.Minute)
		r.wantDelivered(1, 3, 5)
		r.wantLetters("2 refused", "4 refused")
		want := relay.Letter{
			Pass: 1, Sequence: 2, EventID: raws[1].ID, Accepted: raws[1].Accepted, PossibleRetry: true, Overwrite: true,
			Kind: "threat", Company: "17", Record: "rec-2", Title: "x", Code: "threat.update",
			Reason: "refused", Error: "will never do", Tries: 2, First: first, Refused: first.Add(time.Second), Body: raws[1].Body,
		}
		if diff := cmp.Diff(want, r.letters.stored[0]); diff != "" {
			t.Errorf("the dead letter is (-want +got):\n%s", diff)
		}
		if r.letters.puts != 1 {
			t.Errorf("two dead letters of one batch took %d calls", r.letters.puts)
		}
		for reason, want := range map[string]float64{"refused": 2, "too_large": 0, "poison": 0, "encode": 0} {
			if got := r.metric("siemrelay_output_dead_letters_total", reason); got != want {
				t.Errorf("%v dead letters are counted as %s, want %v", got, reason, want)
			}
		}
		r.wantLines(1, "will never do")
		r.wantLines(1, raws[1].ID)
		r.wantState("ok")
		r.end()
	})
}

// TestDeadLettersComeFirst: no cursor moves before they are stored, and nothing is sent
// that is not in hand.
func TestDeadLettersComeFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &output{answer: script(fails(outputs.ErrTooLarge))}
		r := start(t, newSource(), o, func(o *relay.Options) { o.Retry.Max = 10 * time.Minute })
		r.letters.fail(errors.New("database is full"))
		o.set(refusing(2))
		r.source.add(events(4)...)
		r.after(4 * time.Minute)
		r.wantState("paused")
		r.wantLines(1, "level=ERROR")
		r.source.add(events(9)[4:]...)
		r.after(16 * time.Minute)
		r.wantDelivered(1, 3, 4)
		r.wantCursor(1)
		if s := r.relay.Status(); s.Reason != "dead_letters" || !strings.Contains(s.Error, "database is full") {
			t.Errorf("the status is %+v", s)
		}
		if r.letters.puts < 40 {
			t.Errorf("in 20 minutes it tried %d times", r.letters.puts)
		}
		r.letters.fail(nil)
		r.after(30 * time.Second)
		r.wantDelivered(1, 3, 4, 5, 6, 7, 8, 9)
		r.wantLetters("2 refused")
		r.wantCursor(10)
		r.wantState("ok")
		r.wantLines(1, `msg="delivery goes on" output=test reason=dead_letters`)
		r.end()
	})
}

// TestTheCauseIsMendedWhileDeadLettersCannotBeStored: what was refused is delivered, and
// so the output goes on without room for a letter and without a restart.
func TestTheCauseIsMendedWhileDeadLettersCannotBeStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &output{answer: refusing(2, 3)}
		r := start(t, newSource(), o)
		r.letters.fail(errors.New("database is full"))
		r.source.add(events(4)...)
		r.after(time.Hour)
		r.wantState("paused")
		o.set(nil)
		r.after(time.Minute)
		r.wantDelivered(1, 4, 2, 3)
		r.wantLetters()
		r.wantSettled(4, 0, 0)
		r.wantState("ok")
		r.end()
	})
}

// TestStopWhileDeadLettersCannotBeStored: the cursor stays, and the event comes again.
func TestStopWhileDeadLettersCannotBeStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newSource(), &output{answer: refusing(1)})
		r.letters.err = func() error { panic("nil map") }
		r.source.add(events(1)...)
		r.after(time.Minute)
		r.end()
		r.wantCursor(1)
		r.wantLetters()
	})
}

// TestErrorOfADeadLetter: whatever it is, it becomes a text of bounded length.
func TestErrorOfADeadLetter(t *testing.T) {
	var wait *outputs.Wait
	for name, c := range map[string]struct {
		err  error
		want func(text string) bool
	}{
		"none":       {nil, func(s string) bool { return s == "no reason is given" }},
		"long":       {errors.New(strings.Repeat("é", 10_000)), func(s string) bool { return len(s) <= 4096 && strings.HasSuffix(s, "é…") }},
		"no text":    {textless{}, func(s string) bool { return strings.Contains(s, "textless") }},
		"no pointer": {fmt.Errorf("x: %w", errors.New("y")), func(s string) bool { return s == "x: y" }},
		"nil":        {wait, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// The relay looks at the first error of an outcome itself.
				p := &outputs.Partial{Results: []outputs.Result{
					{Status: outputs.Refused, Err: errors.New("first")}, {Status: outputs.Refused, Err: c.err},
				}}
				r := start(t, newSource(events(2)...), &output{answer: script(fails(p))})
				r.after(time.Minute)
				if c.want == nil { // such an outcome is a mistake of the output
					r.wantDelivered(1, 2)
				} else if len(r.letters.stored) != 2 || !c.want(r.letters.stored[1].Error) {
					t.Errorf("the dead letters are %+v", r.letters.stored)
				}
				r.wantCursor(3)
				r.end()
			})
		})
	}
}

type textless struct{}

func (textless) Error() string { panic("nil map") }

// TestOnlyUnwritableEvents: each is a dead letter, and nothing is ever sent.
func TestOnlyUnwritableEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newSource(events(25)...), &output{}, func(o *relay.Options) {
			o.Encode = func([]byte, *normalize.Event) []byte { panic("nil map") }
		})
		r.wantSent()
		r.wantSettled(0, 0, 25)
		r.wantCursor(26)
		r.end()
	})
}

func TestLetterReasons(t *testing.T) {
	if got := strings.Join(relay.LetterReasons(), " "); got != "refused too_large poison encode" {
		t.Errorf("the reasons are %s", got)
	}
}
