package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
	"unicode/utf8"
)

// reason is why something must be tried again. It is a metric's label, so the set
// is closed.
type reason string

const (
	reasonUnavailable reason = "unavailable"  // the receiver or the way to it failed
	reasonNotReady    reason = "not_ready"    // somebody has to mend something
	reasonDeadLetters reason = "dead_letters" // a dead letter could not be stored
	reasonTooLarge    reason = "too_large"    // the batch is sent again in halves
	reasonPartial     reason = "partial"      // a part of the batch was not taken
	reasonMalformed   reason = "malformed"    // the output's answer makes no sense
	reasonPanic       reason = "panic"        // the output panicked
	reasonRead        reason = "read"         // a source could not be read
	reasonCommit      reason = "commit"       // the cursor could not be saved
)

func reasons() []reason {
	return []reason{
		reasonUnavailable, reasonNotReady, reasonDeadLetters, reasonTooLarge, reasonPartial,
		reasonMalformed, reasonPanic, reasonRead, reasonCommit,
	}
}

// These are reasons for a line in the log only: nothing is tried again for them.
const (
	reasonRefused reason = "refused" // events became dead letters
	reasonEncode  reason = "encode"  // an event could not be written as it should be
	reasonFilter  reason = "filter"  // the filter failed
)

// pauses tells what waiting alone won't mend.
func (r reason) pauses() bool { return r == reasonNotReady || r == reasonDeadLetters }

// text says in the log what goes on.
func (r reason) text() string {
	switch r {
	case reasonNotReady:
		return "output is paused until somebody mends it; events are kept and tried again every 30 seconds"
	case reasonDeadLetters:
		return "output is paused: what it refused can't be stored as dead letters; it is kept, and sent again every 30 seconds, until it is taken or there is room"
	case reasonTooLarge:
		return "batch is too large for the receiver and is sent in parts; lower this output's batch.max_bytes or batch.max_events"
	case reasonPartial:
		return "output takes only a part of its events; the others are sent again"
	case reasonPanic:
		return "output panicked, which is a mistake in siemrelay; events are kept and sent again, in parts and at last alone"
	case reasonEncode:
		return "event can't be written in full, which is a mistake in siemrelay; it is sent in its minimal form"
	case reasonFilter:
		return "this output's filter can't tell whether an event is for it; the event is sent"
	case reasonRead:
		return "events can't be read; trying again"
	case reasonCommit:
		return "cursor can't be saved; trying again before more is sent"
	}
	return "output fails; events are kept and sent again"
}

const (
	// remindEvery is the time between two lines about the same trouble.
	remindEvery = 5 * time.Minute
	// sameTrouble is how soon after a line the same trouble is no news when it comes
	// back: an output that fails now and then writes no line for each time.
	sameTrouble = time.Minute
	// maxErrorText bounds what a receiver can write into the log, in bytes.
	maxErrorText = 1000
)

// trouble says in the log and the metrics what is wrong: once when it begins, when
// its kind changes, now and then while it lasts, and once when it is over.
type trouble struct {
	log    *slog.Logger
	meters meters

	now   reason // empty if all is well
	since time.Time
	tries int
	told  bool // the log has a line about it, of this kind
	known bool // the log has a line about it, of any kind
	said  map[reason]time.Time

	mu     sync.Mutex
	status Status // guarded by mu
}

func (t *trouble) is(why reason) bool { return t.now == why }

// failed notes a failed try.
func (t *trouble) failed(why reason, err error) {
	t.meters.retries[why].Inc()
	if t.now == "" {
		t.since, t.tries, t.known = time.Now(), 0, false
	}
	if t.now != why {
		t.now, t.told = why, false
		t.meters.state(why)
	}
	t.tries++
	t.publish(err)
	silence := sameTrouble
	if t.told {
		silence = remindEvery
	}
	if last, before := t.said[why]; before && time.Since(last) < silence {
		return
	}
	t.said[why] = time.Now()
	t.told, t.known = true, true
	t.say(why, err)
}

func (t *trouble) say(why reason, err error) {
	list := append(attrs(why, why.text(), err), "tries", t.tries)
	if t.tries > 1 {
		list = append(list, "since", t.since)
	}
	level := slog.LevelWarn
	if why.pauses() || why == reasonPanic {
		level = slog.LevelError
	}
	t.log.Log(context.Background(), level, "delivery is held up", list...)
}

// note mentions now and then what costs no wait.
func (t *trouble) note(why reason, text string, err error) {
	if last, before := t.said[why]; !before || time.Since(last) >= remindEvery {
		t.said[why] = time.Now()
		t.log.Warn("delivery goes on, but should be looked at", attrs(why, text, err)...)
	}
}

func attrs(why reason, what string, err error) []any {
	list := []any{"reason", string(why), "what", what, "error", clip(err.Error(), maxErrorText)}
	var p *panicError
	if errors.As(err, &p) {
		list = append(list, "stack", p.stack)
	}
	return list
}

// over notes that all is well.
func (t *trouble) over() {
	if t.now == "" {
		return
	}
	if t.known {
		t.log.Info("delivery goes on", "reason", string(t.now), "tries", t.tries, "lasted", time.Since(t.since).Round(time.Millisecond))
	}
	t.now = ""
	t.meters.state("")
	t.publish(nil)
}

// clip cuts text to at most limit bytes, at the start of a character.
func clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	end := limit - len("…")
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// panicError is a panic that was caught.
type panicError struct {
	what  string
	value any
	stack string
}

func (e *panicError) Error() string { return fmt.Sprintf("%s: panic: %v", e.what, e.value) }

// caught, deferred, turns a panic into an error: a mistake in an output or in this
// program must not end the process.
func caught(what string, err *error) {
	if v := recover(); v != nil {
		*err = &panicError{what: what, value: v, stack: string(debug.Stack())}
	}
}
