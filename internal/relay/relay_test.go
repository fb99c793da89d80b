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

	"github.com/siemrelay/siemrelay/internal/relay"
	"github.com/siemrelay/siemrelay/normalize"
	"github.com/siemrelay/siemrelay/outputs"
)

func TestOptionsMistakes(t *testing.T) {
	_, err := relay.New(relay.Options{
		Batch: relay.Batch{MaxWait: -1}, Retry: relay.Retry{Max: -1}, Grace: -1,
	})
	if err == nil {
		t.Fatal("New takes options without anything")
	}
	for _, want := range []string{
		"name is missing", "lanes are 0, must be 1 to 3", "letters are missing", "mapping is missing", "encoder is missing", "output is missing",
		"max events 0", "max bytes 0", "max wait -1ns", "retry min 0s", "retry max -1ns", "grace -1ns",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
}

// TestMessages: an event's facts and body arrive as they are, though the source,
// the mapping and the batch all use their buffers again.
func TestMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raws := []normalize.Raw{
			event(1, "abc", "x"),
			{ID: strings.Repeat("a", 32), Sequence: 2, Body: []byte("no json")},
			event(3, "with/slash and ünï", "x"),
		}
		o := &output{}
		r := start(t, newSource(raws...), o, func(o *relay.Options) { o.Namespace = "customer" })
		r.source.add(event(4, "ABC", "other"), event(5, "xyz", "other"))
		synctest.Wait()
		r.end()
		want := []outputs.Message{
			{ID: raws[0].ID, Key: "threat/17/abc", Kind: "threat", Company: "17", Dataset: "defensecom.threat", EventKind: "event", Trigger: "update", SyslogSeverity: 4, Accepted: raws[0].Accepted},
			{ID: raws[1].ID, Key: "other//event:" + raws[1].ID, Kind: "other", Dataset: "defensecom.other", EventKind: "pipeline_error", Trigger: "other", SyslogSeverity: 4},
			{ID: raws[2].ID, Key: "threat/17/with%2Fslash%20and%20%C3%BCn%C3%AF", Kind: "threat", Company: "17", Dataset: "defensecom.threat", EventKind: "event", Trigger: "update", SyslogSeverity: 4, Accepted: raws[2].Accepted},
			{Key: "threat/17/ABC"}, {Key: "threat/17/xyz"},
		}
		if len(o.delivered) != len(want) {
			t.Fatalf("%d messages were delivered, want %d", len(o.delivered), len(want))
		}
		for i, got := range o.delivered {
			w := want[i]
			if wantBody := fmt.Sprintf("%d %s %s", i+1, w.Key, got.EventKind); string(got.Body) != wantBody {
				t.Errorf("body %q, want %q", got.Body, wantBody)
			}
			if i > 2 {
				continue
			}
			w.Sequence, w.Namespace, w.Body = uint64(i+1), "customer", got.Body
			if fmt.Sprint(got) != fmt.Sprint(w) {
				t.Errorf("message\n%+v, want\n%+v", got, w)
			}
		}
		r.wantCursor(6)
	})
}

// TestNothingIsCommittedBeforeItIsSafe is what the whole program stands on.
func TestNothingIsCommittedBeforeItIsSafe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &output{}
		block := make(chan struct{})
		o.answer = func(context.Context, []outputs.Message) error {
			<-block
			return nil
		}
		r := start(t, newSource(events(3)...), o)
		r.after(time.Hour)
		r.wantCursor(1)
		close(block)
		synctest.Wait()
		r.wantCursor(4)
		r.end()
	})
}

// TestCommitFails: the batch is not sent again for it, nothing further is read,
// and the log says it once.
func TestCommitFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(events(3)...)
		failing := true
		s.commitErr = func() error {
			if failing {
				return errors.New("no space left on device")
			}
			return nil
		}
		r := start(t, s, &output{})
		s.add(event(4, "a", "x"))
		r.after(3 * time.Minute)
		r.wantSent(upTo(3))
		r.wantState("retrying")
		r.wantLines(1, "cursor can't be saved")
		s.mu.Lock()
		failing = false
		s.mu.Unlock()
		r.after(20 * time.Second)
		r.wantSent(upTo(3), []uint64{4})
		r.wantCursor(5)
		r.wantState("ok")
		r.wantLines(1, `msg="delivery goes on" `)
		r.end()
	})
}

// TestReadFails: what was read before goes out; the loop stays alive.
func TestReadFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(events(5)...)
		calls, failing := 0, true
		s.readErr = func() error {
			if calls++; calls > 2 && failing {
				return errors.New("input/output error")
			}
			return nil
		}
		r := start(t, s, &output{})
		r.wantSent([]uint64{1, 2})
		r.wantCursor(3)
		r.after(3 * time.Minute)
		r.wantLines(1, "events can't be read")
		r.wantState("retrying")
		s.mu.Lock()
		failing = false
		s.mu.Unlock()
		r.after(20 * time.Second)
		r.wantSent([]uint64{1, 2}, []uint64{3, 4, 5})
		r.wantState("ok")
		r.wantLines(1, `msg="delivery goes on" `)
		r.end()
	})
}

// TestSourcePanics: a mistake in the spool is an error of the spool.
func TestSourcePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(events(2)...)
		reads, commits := 0, 0
		s.readErr = func() error {
			if reads++; reads == 2 {
				panic("index out of range")
			}
			return nil
		}
		s.commitErr = func() error {
			if commits++; commits == 1 {
				panic("index out of range")
			}
			return nil
		}
		r := start(t, s, &output{})
		r.after(time.Minute)
		r.wantDelivered(1, 2)
		r.wantCursor(3)
		r.end()
	})
}

// TestEventThatCannotBeEncoded: it goes out in the minimal form; nothing is stuck.
func TestEventThatCannotBeEncoded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &output{}
		r := start(t, newSource(events(3)...), o, func(o *relay.Options) {
			o.Encode = func(dst []byte, e *normalize.Event) []byte {
				dst = append(dst, "half"...)
				if e.Sequence == 2 && e.EventKind != "pipeline_error" {
					panic("nil map")
				}
				return encodeKey(dst[:len(dst)-4], e)
			}
		})
		r.wantDelivered(1, 2, 3)
		if got, want := string(o.delivered[1].Body), "2 other//event:"+o.delivered[1].ID+" pipeline_error"; got != want {
			t.Errorf("the event became %q, want %q", got, want)
		}
		r.wantLines(1, "minimal form")
		r.wantLines(1, o.delivered[1].ID)
		r.wantState("ok")
		r.end()
	})
}

// TestEventThatCannotBeEncodedAtAll: it becomes a dead letter before anything passes it.
func TestEventThatCannotBeEncodedAtAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raws := events(3)
		r := start(t, newSource(raws...), &output{}, func(o *relay.Options) {
			o.Encode = func(dst []byte, e *normalize.Event) []byte {
				if e.Sequence == 2 {
					panic("nil map")
				}
				return encodeKey(dst, e)
			}
		})
		r.wantDelivered(1, 3)
		r.wantLetters("2 encode")
		r.wantSettled(2, 0, 1)
		r.wantCursor(4)
		r.wantState("ok")
		got := r.letters.stored[0]
		if string(got.Body) != string(raws[1].Body) || got.EventID != raws[1].ID || got.Tries != 0 ||
			got.Kind != "threat" || got.Record != "rec-2" || !strings.Contains(got.Error, "nil map") {
			t.Errorf("the dead letter is %+v", got)
		}
		r.end()
	})
}

// TestOutputsDoNotWaitForEachOther: two relays of one process, one of them stuck.
func TestOutputsDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := start(t, newSource(events(3)...), &output{answer: func(ctx context.Context, _ []outputs.Message) error {
			<-ctx.Done()
			return ctx.Err()
		}})
		well := start(t, newSource(events(100)...), &output{})
		if got := well.output.got(); !slices.Equal(got, upTo(100)) {
			t.Errorf("beside a stuck output %d of 100 events were delivered", len(got))
		}
		well.end()
		stuck.end()
	})
}
