// Package outputstest is the suite that every output must pass: what package
// outputs promises to the relay, as tests against a receiver that the output's
// own tests control.
//
// It guarantees that an output that passes loses nothing that it said was safe,
// says what became of every message, blames none for the receiver's troubles, keeps
// nothing that it was lent, and lets go when told to. It refuses to know formats and protocols: the harness takes the
// bodies out of whatever the receiver got.
package outputstest

import (
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/siemrelay/siemrelay/outputs"
)

// Harness is how an output's tests describe the output to the suite.
type Harness struct {
	// Setup makes a receiver that works and has nothing yet, for one check. What
	// it starts it stops with tb.Cleanup.
	Setup func(tb testing.TB) Subject
	// KeepsOrder says that the output promises the order of messages of one Key.
	KeepsOrder bool
	// MaxBody is the largest body that the receiver must take, in bytes. Zero is 256 KiB.
	MaxBody int
	// Secrets are the credentials that Setup configures: none may be in an error.
	Secrets []string
	// Patience is how long a Send may go on after its context ended, and how long
	// the output may take to find a mended receiver. Zero is 30 s.
	Patience time.Duration
	// Leaks are goroutines that are not the output's, a fake receiver's for example.
	Leaks []goleak.Option
}

// Subject is one output with its receiver. A hook that the suite calls takes
// effect before it returns. Hooks may be nil where the comment says so; the checks
// that need them are then not run.
type Subject struct {
	// New makes the output.
	New func() (outputs.Output, error)
	// Received returns the bodies that the receiver has, in the order in which it
	// got them.
	Received func() [][]byte
	// Break makes the receiver fail: it is down, full, or answers with errors.
	Break func()
	// Mend ends what Break, Hang and Defer began.
	Mend func()
	// Hang makes the receiver go silent: a Send blocks until its context ends. Nil
	// where that can't be arranged.
	Hang func()
	// Spoil returns a body that the receiver, or the output itself, refuses for
	// good. Nil where nothing is ever refused.
	Spoil func(body []byte) []byte
	// Defer makes the receiver answer "later" for each message whose body contains
	// marker, as one that throttles does. Nil where messages have no outcomes of their own.
	Defer func(marker string)
}

// check is one promise. ready says whether the harness has the hooks for it.
type check struct {
	name  string
	ready func(s Subject) bool
	run   func(d *driver)
}

func always(Subject) bool { return true }

func checks() []check {
	return []check{
		{"one message", always, oneMessage},
		{"many messages", always, manyMessages},
		{"odd bodies", always, oddBodies},
		{"a broken receiver is an error", always, brokenReceiver},
		{"a batch that failed leaves nothing to send", always, forgetsFailedBatch},
		{"the constructor does not dial", always, constructorDoesNotDial},
		{"close without send", always, closeWithoutSend},
		{"close while broken", always, closeWhileBroken},
		{"an ended context", always, endedContext},
		{"a context that ends during send", func(s Subject) bool { return s.Hang != nil }, contextEndsDuringSend},
		{"refused messages", func(s Subject) bool { return s.Spoil != nil }, refusedMessages},
		{"a batch of refused messages", func(s Subject) bool { return s.Spoil != nil }, allRefused},
		{"deferred messages", func(s Subject) bool { return s.Defer != nil }, deferredMessages},
	}
}

// Run runs the suite. Each check gets a Subject of its own; each also fails if the
// output changes or keeps a batch, leaves a goroutine behind, or writes a secret
// into an error.
func Run(t *testing.T, h Harness) {
	t.Helper()
	for _, c := range checks() {
		t.Run(c.name, func(t *testing.T) { runCheck(t, h, c) })
	}
}

func runCheck(tb testing.TB, h Harness, c check) {
	tb.Helper()
	if h.Patience == 0 {
		h.Patience = 30 * time.Second
	}
	if h.MaxBody == 0 {
		h.MaxBody = 256 << 10
	}
	s := h.Setup(tb)
	if !c.ready(s) {
		tb.Skip("the harness has no hook for it")
	}
	before := goleak.IgnoreCurrent()
	d := &driver{tb: tb, h: h, s: s, known: map[string]bool{}}
	c.run(d)
	d.close()
	if err := goleak.Find(slices.Concat(h.Leaks, []goleak.Option{before})...); err != nil {
		tb.Errorf("a goroutine outlives the output: %v", err)
	}
}
