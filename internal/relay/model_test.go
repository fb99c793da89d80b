package relay_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/siemrelay/siemrelay/internal/relay"
	"github.com/siemrelay/siemrelay/normalize"
)

// plan is one run: what arrives when, what goes wrong when, and when the process
// ends. It is drawn before the run, which then has no choices left.
type plan struct {
	lanes     [][]planned
	batch     relay.Batch
	outcomes  []string // of each Send, then all succeed
	coins     []int    // what partial outcomes look like
	readFails []bool
	saveFails []bool
	putFails  []bool
	ends      []end
	// unconfirmed: what the output says of itself in each process.
	unconfirmed []bool
}

// planned is one event.
type planned struct {
	record int
	size   int    // of its body
	nature string // see natures
	after  time.Duration
}

// What events can be like.
const (
	good       = "good"
	elsewhere  = "elsewhere"  // the filter leaves it out
	unwritable = "unwritable" // it can't be encoded
	poisonous  = "poisonous"  // the receiver fails on it for ever
	explosive  = "explosive"  // the output panics on it for ever
)

var natures = []string{good, good, good, good, good, elsewhere, elsewhere, unwritable, poisonous, explosive}

// end is the end of the process at its call number op.
type end struct {
	op    int
	crash bool
}

func drawPlan(t *rapid.T) plan {
	p := plan{
		batch: relay.Batch{
			MaxEvents: rapid.IntRange(1, 8).Draw(t, "max events"),
			MaxBytes:  rapid.IntRange(1, 400).Draw(t, "max bytes"),
			MaxWait:   time.Duration(rapid.IntRange(0, 3).Draw(t, "max wait")) * time.Second,
		},
		outcomes: rapid.SliceOfN(rapid.SampledFrom([]string{
			"ok", "partial", "partial", "partial", "down", "too large", "not ready", "panic", "malformed", "wait", "slow",
		}), 0, 25).Draw(t, "outcomes"),
		coins:     rapid.SliceOfN(rapid.IntRange(0, 3), 97, 97).Draw(t, "coins"),
		readFails: rapid.SliceOfN(rapid.Bool(), 0, 30).Draw(t, "reads"),
		saveFails: rapid.SliceOfN(rapid.Bool(), 0, 10).Draw(t, "saves"),
		putFails:  rapid.SliceOfN(rapid.Bool(), 0, 10).Draw(t, "puts"),

		unconfirmed: rapid.SliceOfN(rapid.Bool(), 6, 6).Draw(t, "unconfirmed"),
	}
	for range rapid.IntRange(1, 3).Draw(t, "lanes") {
		var events []planned
		for range rapid.IntRange(1, 15).Draw(t, "events") {
			events = append(events, planned{
				record: rapid.IntRange(0, 3).Draw(t, "record"),
				size:   rapid.IntRange(0, 60).Draw(t, "size"),
				nature: rapid.SampledFrom(natures).Draw(t, "nature"),
				after:  time.Duration(rapid.IntRange(0, 2000).Draw(t, "after")) * time.Millisecond,
			})
		}
		p.lanes = append(p.lanes, events)
	}
	for range rapid.IntRange(0, 5).Draw(t, "ends") {
		p.ends = append(p.ends, end{rapid.IntRange(1, 40).Draw(t, "op"), rapid.Bool().Draw(t, "crash")})
	}
	return p
}

// raw is an event as its lane gives it out; the sequences of lanes do not meet.
func (p planned) raw(sequence uint64) normalize.Raw {
	r := event(int(sequence), fmt.Sprint("rec-", p.record), strings.Repeat("x", p.size))
	if p.nature == elsewhere {
		r.Body = []byte(strings.Replace(string(r.Body), `"company_id":17`, `"company_id":18`, 1))
	}
	return r
}

// run runs processes until everything is settled and committed.
func (w *world) run(m *normalize.Mapping) error {
	arriving := make(chan struct{})
	go func() {
		defer close(arriving)
		w.arrive()
	}()
	for w.goesOn() {
		filter, err := relay.ParseFilter(`company == "17"`)
		if err != nil {
			return err
		}
		ctx := w.begin()
		o := relay.Options{
			Name: "test", Letters: w, Filter: filter, Mapping: m, Encode: w.encode, Output: w, Batch: w.plan.batch,
			Retry: relay.Retry{Min: time.Second, Max: 30 * time.Second},
		}
		for _, l := range w.lanes {
			o.Lanes = append(o.Lanes, relay.Lane{Source: l, Pass: func() uint64 { return l.pass }, WantSequences: true})
		}
		r, err := relay.New(o)
		if err != nil {
			return err
		}
		if err := r.Run(ctx); err != nil {
			return err
		}
		w.stop()
	}
	<-arriving
	if w.wrong != "" {
		return errors.New(w.wrong)
	}
	return nil
}

// TestModel: whatever goes wrong and whenever the process ends, every event that
// entered a lane ends as delivered, left out or a dead letter, and each commit says
// exactly what became of the events that it passes. Of each record the first copies
// come in order, a dead letter is durable before a commit passes it and before
// anything else is sent, nothing that is done is sent again by the same process, and
// at most what was in hand by the next.
func TestModel(t *testing.T) {
	m := mapping(t)
	for range 20 { // 2,000 plans unless -rapid.checks says otherwise
		rapid.Check(t, func(rt *rapid.T) {
			p := drawPlan(rt)
			var err error
			synctest.Test(t, func(*testing.T) { err = newWorld(p).run(m) })
			if err != nil {
				rt.Fatal(err)
			}
		})
	}
}
