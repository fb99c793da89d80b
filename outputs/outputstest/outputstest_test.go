package outputstest_test

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/outputs/outputstest"
)

// TestGoodOutput is the suite against an output without a fault.
func TestGoodOutput(t *testing.T) {
	outputstest.Run(t, harness(""))
}

// TestFaults gives the suite outputs that each break one promise: it must fail
// them, and in the check that says so.
func TestFaults(t *testing.T) {
	for fault, want := range map[string]string{
		"loses the last message of a batch":        "many messages",
		"delivers after it returned":               "one message",
		"says nil while broken":                    "a broken receiver is an error",
		"says nil though it was cancelled":         "an ended context",
		"delivers twice":                           "one message",
		"swaps two messages of a record":           "many messages",
		"trims bodies":                             "odd bodies",
		"cuts large bodies":                        "odd bodies",
		"unescapes bodies":                         "odd bodies",
		"keeps bodies of a failed batch":           "a batch that failed leaves nothing to send",
		"queues a failed batch":                    "a batch that failed leaves nothing to send",
		"writes into the batch":                    "one message",
		"dials in the constructor":                 "the constructor does not dial",
		"greets the receiver on close":             "close without send",
		"cannot be closed unused":                  "close without send",
		"hangs on close while broken":              "close while broken",
		"never reconnects":                         "a broken receiver is an error",
		"ignores the context":                      "a context that ends during send",
		"calls a timeout a success":                "a context that ends during send",
		"says too few results":                     "refused messages",
		"says refused without a reason":            "refused messages",
		"says done with an error":                  "refused messages",
		"says an unknown status":                   "refused messages",
		"drops refused messages silently":          "refused messages",
		"blames the neighbours":                    "refused messages",
		"delivers what it calls refused":           "refused messages",
		"drops a batch that is refused as a whole": "a batch of refused messages",
		"refuses for good while broken":            "a broken receiver is an error",
		"overtakes a message to be retried":        "deferred messages",
		"calls a deferred message refused":         "deferred messages",
		"blames the messages while broken":         "a broken receiver is an error",
		"blames a message for the silence":         "a context that ends during send",
		"blames a message that was put off":        "deferred messages",
		"leaves a goroutine":                       "one message",
		"tells the secret":                         "a broken receiver is an error",
		"tells the secret in one result":           "refused messages",
	} {
		t.Run(fault, func(t *testing.T) {
			h := harness(fault)
			h.Patience = time.Second
			d := &double{TB: t}
			d.run(func() { outputstest.RunCheck(d, h, want) })
			if len(d.failures) == 0 {
				t.Fatalf("the check %q passes an output that %s", want, fault)
			}
			t.Logf("%s", d.failures[0])
		})
	}
}

// TestHooksAreOptional: a check that can't be run is a visible skip, not a success.
func TestHooksAreOptional(t *testing.T) {
	h := harness("")
	setup := h.Setup
	h.Setup = func(tb testing.TB) outputstest.Subject {
		s := setup(tb)
		s.Hang, s.Spoil, s.Defer = nil, nil, nil
		return s
	}
	var skipped []string
	for _, name := range outputstest.Checks() {
		d := &double{TB: t}
		d.run(func() { outputstest.RunCheck(d, h, name) })
		if len(d.failures) > 0 {
			t.Errorf("%s: %v", name, d.failures)
		}
		if d.skipped {
			skipped = append(skipped, name)
		}
	}
	want := []string{"a context that ends during send", "refused messages", "a batch of refused messages", "deferred messages"}
	if !slices.Equal(skipped, want) {
		t.Errorf("skipped %q, want %q", skipped, want)
	}
}

// double is a testing.TB whose failures are noted, not reported.
type double struct {
	testing.TB
	failures []string
	skipped  bool
}

// run runs f as the testing package does, on a goroutine that Fatal may end.
func (d *double) run(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

func (d *double) Helper() {}
func (d *double) Errorf(format string, args ...any) {
	d.failures = append(d.failures, fmt.Sprintf(format, args...))
}
func (d *double) Fatalf(format string, args ...any) {
	d.Errorf(format, args...)
	runtime.Goexit()
}
func (d *double) Skip(...any) {
	d.skipped = true
	runtime.Goexit()
}
