// Package operations is the desk at which a person sees what became of every
// webhook, and mends it: Desk implements admin.Operations over the spool, the dead
// letters and the rejected bodies, in a running process and on the files of a
// stopped one alike.
//
// It guarantees that a dry run changes nothing and that what is given up is only
// what was named. It refuses to know how events are received, sent and stored, and
// keeps nothing itself.
package operations

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/deadletter"
	"github.com/siemrelay/siemrelay/internal/ledger"
	"github.com/siemrelay/siemrelay/internal/spool"
	"github.com/siemrelay/siemrelay/normalize"
	"github.com/siemrelay/siemrelay/outputs/local"
)

// Options are what a desk works on.
type Options struct {
	Version string
	// Dir is the spool's folder.
	Dir string
	// MaxSize is spool.max_size in bytes.
	MaxSize int64

	Spool   *spool.Spool
	Letters *deadletter.Store
	// Rejects is nil where its file can't be used.
	Rejects *deadletter.Rejects
	// Ages may be shared with others who look at the same spool; nil: the desk's own.
	Ages *ledger.Ages

	// Outputs are the configured ones, in the order of the configuration.
	Outputs []Output
	// Mapping shows what would be sent now.
	Mapping *normalize.Mapping
	// Append takes a body in as the receiver does: it is durable when it returns nil.
	Append func(body []byte) (Receipt, error)

	// Store is the database of a local output; nil: the configuration has none, and
	// there is nothing to look at.
	Store *local.Reader
	// StoreOutput is the name of that output.
	StoreOutput string

	// Live is about a running process, nil for the files of a stopped one.
	Live *Live
	// Now is the wall clock, time.Now if nil.
	Now func() time.Time
	Log *slog.Logger
}

// Live is what only a running process knows.
type Live struct {
	Started time.Time
	// Ready returns nil while new webhooks would be accepted, else why not.
	Ready func() error
	// Warnings are what stops webhooks soon, or before they are here; nil: nobody
	// looks.
	Warnings func() []string
	// Receiver counts webhooks; nil: nobody does.
	Receiver func() admin.ReceiverStats
	// SendTest sends a test event through the door; nil: nobody can.
	SendTest func(ctx context.Context) (admin.TestResult, error)
}

// Receipt says what became of an appended body.
type Receipt struct {
	ID        string // event.id
	Sequence  uint64
	Duplicate bool // it was a retry of the event with that id, and is not stored again
}

// Output is a configured output.
type Output struct {
	Name, Type, Format string
	// Overwrites: it can replace what the receiver has of an event.
	Overwrites bool
	// Encode writes an event in the output's format.
	Encode normalize.Encoder
	// Match is the output's filter, nil if it has none. Only the desk uses it.
	Match func(*normalize.Event) bool
	// Health tells how it does, nil where nothing runs.
	Health func() Health
}

// Health is how an output does.
type Health struct {
	State       admin.State
	Reason      string // one word
	Error       string // the last one, if the state is not ok
	Since       time.Time
	LastSuccess time.Time
}

// Desk implements admin.Operations.
type Desk struct {
	o Options

	// accepting is held while rejected bodies are taken in: each only once.
	accepting sync.Mutex

	mu    sync.Mutex // guards what follows
	event normalize.Event
}

var (
	_ admin.Operations = (*Desk)(nil)
	_ admin.Explorer   = (*Desk)(nil)
)

// New makes a desk. The caller closes the stores when nobody uses it any more.
func New(o Options) *Desk {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Ages == nil {
		o.Ages = ledger.NewAges(o.Spool)
	}
	return &Desk{o: o}
}

// output returns the configured output of that name.
func (d *Desk) output(name string) (Output, bool) {
	for _, o := range d.o.Outputs {
		if o.Name == name {
			return o, true
		}
	}
	return Output{}, false
}

// entry returns the ledger of an output that the stores know, or of a configured one.
func (d *Desk) entry(name string) (ledger.Entry, error) {
	if name == "" {
		return ledger.Entry{}, admin.Errorf(admin.Invalid, "output is missing: the name of an output")
	}
	var known []string
	for _, e := range d.entries() {
		if e.Output == name {
			return e, nil
		}
		known = append(known, e.Output)
	}
	for _, o := range d.o.Outputs { // some may not have run yet
		if o.Name == name {
			return ledger.Entry{Output: name}, nil
		}
		if !slices.Contains(known, o.Name) {
			known = append(known, o.Name)
		}
	}
	return ledger.Entry{}, admin.Errorf(admin.NotFound, "there is no output %q; there are: %s", name, cmp.Or(strings.Join(known, ", "), "none"))
}

func (d *Desk) entries() []ledger.Entry { return ledger.Entries(d.o.Spool, d.o.Letters) }

// translate gives errors of the stores the code that they have for a person.
func translate(err error) error {
	var code admin.Code
	switch {
	case err == nil:
		return nil
	case errors.Is(err, deadletter.ErrNotFound), errors.Is(err, spool.ErrNoCursor):
		code = admin.NotFound
	case errors.Is(err, spool.ErrReplaying):
		code = admin.Conflict
	case errors.Is(err, spool.ErrFull), errors.Is(err, spool.ErrNoSpace), errors.Is(err, spool.ErrSlow),
		errors.Is(err, spool.ErrClosed), errors.Is(err, spool.ErrIO), errors.Is(err, deadletter.ErrClosed),
		errors.Is(err, deadletter.ErrNoSpace), errors.Is(err, deadletter.ErrIO), errors.Is(err, deadletter.ErrLocked):
		code = admin.Unavailable
	default:
		return err
	}
	return admin.Errorf(code, "%v", err)
}
