// Package relay moves events from the spool to one output: read, filter, normalise,
// encode, send in batches, send again what failed, keep what is refused for good,
// remember how far it came.
//
//	Source.Next --batch.go--> Output.Send --delivery.go--> Source.Commit
//	   lane.go  filter.go          |                            ^
//	                               '--letter.go--> Letters.Put -'
//	        ^-- waits, and what is said of them: backoff.go, trouble.go, status.go
//
// It guarantees that a batch is finished before the next is read and the cursor
// moves: every event is delivered at least once, or left out by the filter, or a dead
// letter, and Source.Commit is told which, each event counted once. A dead letter is
// durable before the cursor passes it; as long as it can't be stored its event is sent
// again, and the output goes no further than the batch in hand. Of one record, the events
// of a lane are delivered in the order of their acceptance, but for those that became dead
// letters, which nothing waits for. After a crash at most the batch in hand is sent again. No outcome of a Send, no panic in
// it and no error of a disk ends the loop or lets the cursor pass an event.
//
// An event is refused for good when the output says so, when it is too large though
// it is alone, when it can't be encoded at all, and when it is poison: see poison.go,
// which also says why the batch in hand may then be two. While a receiver is away,
// throttles, is slow or is not ready, no event becomes a dead letter, however long
// it takes.
//
// Up to three lanes take turns, batch by batch: the log, in which live events come,
// dead letters that are to be sent again, and a replay.
//
// It refuses to know formats, destinations and the spool's files, and it has no
// goroutine of its own besides the caller of Run.
package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/siemrelay/siemrelay/normalize"
	"github.com/siemrelay/siemrelay/outputs"
)

// Batch says when a batch is complete: as soon as one limit is reached.
type Batch struct {
	// MaxEvents is the most events, at least 1.
	MaxEvents int
	// MaxBytes is the most bytes of encoded events, at least 1. One event that is
	// larger goes alone.
	MaxBytes int
	// MaxWait is how long the first event of a batch waits for others; 0 sends what
	// there is.
	MaxWait time.Duration
}

// Retry is the limit of the random wait before a retry: Min before the first,
// doubling up to Max.
type Retry struct{ Min, Max time.Duration }

// Options are all that a relay needs.
type Options struct {
	// Name is the output's name, the metrics' label.
	Name string
	// Lanes are where the output's events come from, one to three. The first, which
	// has the live events, takes every second turn while others have events too.
	Lanes []Lane
	// Letters keeps what the output refuses for good.
	Letters Letters
	// Filter says which events are for the output; nil means all. The others count as
	// Settled.Filtered. No other relay uses it.
	Filter  *Filter
	Mapping *normalize.Mapping
	// Encode writes an event in the output's format.
	Encode normalize.Encoder
	// State writes what an event says of its record as it is now, for Message.State; nil
	// for an output that has no use for it. It may append nothing.
	State normalize.Encoder
	// Namespace is the data_stream.namespace of messages whose company has none.
	Namespace string
	// Output is used by Run alone; the caller closes it after Run has returned. Where it
	// is outputs.Unconfirmed, what it calls done counts as Settled.Sent.
	Output outputs.Output
	Batch  Batch
	Retry  Retry
	// Grace is how long, after the end of Run's context, a batch that was already
	// read may take to be sent and committed. Zero is 5 s.
	Grace time.Duration
	// Logger gets outages and refusals; it should carry the output's name. Nil discards.
	Logger *slog.Logger
	// Metrics are shared by all relays. Nil counts for nobody.
	Metrics *Metrics
	// Rand returns a number in [0,1) for the waits. Nil is math/rand.
	Rand func() float64
}

const defaultGrace = 5 * time.Second

func (o *Options) validate() error {
	var errs []error
	for _, c := range []struct {
		wrong bool
		text  string
	}{
		{o.Name == "", "name is missing"},
		{len(o.Lanes) < 1 || len(o.Lanes) > maxLanes, fmt.Sprintf("lanes are %d, must be 1 to %d", len(o.Lanes), maxLanes)},
		{slices.ContainsFunc(o.Lanes, func(l Lane) bool { return l.Source == nil }), "source of a lane is missing"},
		{o.Letters == nil, "letters are missing"},
		{o.Mapping == nil, "mapping is missing"},
		{o.Encode == nil, "encoder is missing"},
		{o.Output == nil, "output is missing"},
		{o.Batch.MaxEvents < 1, fmt.Sprintf("batch max events %d must be at least 1", o.Batch.MaxEvents)},
		{o.Batch.MaxBytes < 1, fmt.Sprintf("batch max bytes %d must be at least 1", o.Batch.MaxBytes)},
		{o.Batch.MaxWait < 0, fmt.Sprintf("batch max wait %v must not be negative", o.Batch.MaxWait)},
		{o.Retry.Min <= 0, fmt.Sprintf("retry min %v must be positive", o.Retry.Min)},
		{o.Retry.Max < o.Retry.Min, fmt.Sprintf("retry max %v must be at least retry min %v", o.Retry.Max, o.Retry.Min)},
		{o.Grace < 0, fmt.Sprintf("grace %v must not be negative", o.Grace)},
	} {
		if c.wrong {
			errs = append(errs, fmt.Errorf("make relay %q: %s", o.Name, c.text))
		}
	}
	return errors.Join(errs...)
}

// Relay is the loop of one output.
type Relay struct {
	o       Options
	meters  meters
	trouble trouble
	backoff backoff

	lanes []*lane
	last  *lane // that had the last batch, nil before the first
	other int   // which of the lanes but the first is asked first

	batch    batch
	delivery delivery
	event    normalize.Event
	letters  []letter // that are not stored yet
	done     uint64   // how many messages the output called done
}

// New makes a relay. The error is about the options.
func New(o Options) (*Relay, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	if o.Grace == 0 {
		o.Grace = defaultGrace
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(nil)
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	m := o.Metrics.of(o.Name)
	r := &Relay{
		o:       o,
		meters:  m,
		trouble: trouble{log: o.Logger, meters: m, said: map[reason]time.Time{}, status: Status{State: StateOK}},
		backoff: backoff{Retry: o.Retry, rand: o.Rand},
	}
	unconfirmed := outputs.IsUnconfirmed(o.Output)
	for _, l := range o.Lanes {
		r.lanes = append(r.lanes, &lane{Lane: l, unconfirmed: unconfirmed})
	}
	return r, nil
}

// Run relays events until ctx ends, and then returns nil. From that moment on it
// reads nothing more and waits for nothing more; the batch in hand has Options.Grace
// to be sent and committed. It is called once.
func (r *Relay) Run(ctx context.Context) error {
	grace, stop := withGrace(ctx, r.o.Grace)
	defer stop()
	for ctx.Err() == nil {
		if !r.gather(ctx) {
			break
		}
		if !r.deliver(ctx, grace) || !r.commit(ctx) {
			break
		}
	}
	return nil
}

// withGrace returns a context that ends by the given time after ctx does. Its
// goroutine runs from the end of ctx until stop is called.
func withGrace(ctx context.Context, grace time.Duration) (_ context.Context, stop func()) {
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	unlink := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-late.Done():
		}
	})
	return late, func() {
		unlink()
		cancel()
	}
}

// settled ends the trouble that there was with the step that is now done.
func (r *Relay) settled() {
	r.trouble.over()
	r.backoff.reset()
}

// wait says what is wrong and waits before the next try. It reports false, without
// waiting any longer, when ctx ends.
func (r *Relay) wait(ctx context.Context, why reason, err error) bool {
	r.trouble.failed(why, err)
	timer := time.NewTimer(r.backoff.next(why, outputs.RetryAfter(err)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
