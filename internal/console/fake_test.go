package console_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/siemrelay/siemrelay/internal/admin"
)

// fake is a siemrelay in memory: an admin.Operations and an admin.Explorer.
type fake struct {
	now func() time.Time

	mu       sync.Mutex
	err      error // if not nil, the answer to everything
	storeErr error // if not nil, the answer of the store
	wait     bool  // answer only when the context is done
	events   []fakeEvent
	status   admin.Status
	letters  []admin.LetterDetail
	rejected []admin.RejectedDetail
	door     admin.TestResult // of SendTest; with an EventID it also is an event
	pending  bool             // a test event stays pending at the last output
	calls    []string
}

type fakeEvent struct {
	admin.EventSummary
	Description, Reference, Priority, Link string
	Raw                                    string
}

var (
	_ admin.Operations = (*fake)(nil)
	_ admin.Explorer   = (*fake)(nil)
)

// begin locks the fake, notes the call, and returns the error that it has to answer.
func (f *fake) begin(ctx context.Context, format string, args ...any) (func(), error) {
	f.mu.Lock()
	if f.wait {
		f.mu.Unlock()
		<-ctx.Done()
		return func() {}, ctx.Err()
	}
	f.calls = append(f.calls, fmt.Sprintf(format, args...))
	return f.mu.Unlock, f.err
}

func (f *fake) beginStore(ctx context.Context, format string, args ...any) (func(), error) {
	end, err := f.begin(ctx, format, args...)
	if err == nil {
		err = f.storeErr
	}
	return end, err
}

// said returns the calls since the last time that begin with prefix.
func (f *fake) said(prefix string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []string
	for _, c := range f.calls {
		if strings.HasPrefix(c, prefix) {
			found = append(found, c)
		}
	}
	f.calls = nil
	return found
}

// add appends an event, with what is left out filled in.
func (f *fake) add(e fakeEvent) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.addLocked(e)
}

func (f *fake) addLocked(e fakeEvent) string {
	e.Sequence = uint64(len(f.events)) + 1
	e.ID = fmt.Sprintf("%032x", 0xabcdef*e.Sequence)
	if e.Accepted.IsZero() {
		e.Accepted = f.now()
	}
	if e.Time.IsZero() {
		e.Time = e.Accepted
	}
	if e.Key == "" && e.Kind != "other" {
		e.Key = e.Kind + "/" + e.Company + "/" + e.Record
	}
	if e.Raw == "" {
		e.Raw = fmt.Sprintf(`{"record_type":%q,"id":%q,"title":%q,"risk":%q,"state":%q}`, e.Kind, e.Record, e.Title, e.Risk, e.State)
	}
	f.events = append(f.events, e)
	return e.ID
}

func (f *fake) matches(e fakeEvent, text, company string) (bool, error) {
	if company != "" && e.Company != company {
		return false, nil
	}
	all := strings.ToLower(e.Title + " " + e.Description + " " + e.Note + " " + e.Source + " " + e.NoteBy)
	for _, word := range strings.Fields(strings.ToLower(text)) {
		key, value, ok := strings.Cut(word, ":")
		switch {
		case ok && key == "risk":
			if !slices.Contains([]string{"info", "low", "medium", "high", "critical", "unknown"}, value) {
				return false, admin.Errorf(admin.Invalid, "risk %q: it must be info, low, medium, high or critical", value)
			}
			if e.Risk != value && (value != "unknown" || e.Risk != "odd") {
				return false, nil
			}
		case ok && key == "status":
			if e.Status != value {
				return false, nil
			}
		case !strings.Contains(all, word):
			return false, nil
		}
	}
	return true, nil
}

// SendTest implements admin.Explorer.
func (f *fake) SendTest(ctx context.Context) (admin.TestResult, error) {
	end, err := f.begin(ctx, "SendTest")
	defer end()
	if err != nil || f.door.Status != 200 {
		return f.door, err
	}
	r := f.door
	r.EventID = f.addLocked(fakeEvent{EventSummary: admin.EventSummary{
		Kind: "threat", Action: "threat-created", Code: "threat.create", Record: "test", Title: "siemrelay test event",
		Risk: "info", Severity: 10, State: "detected", Status: "open", Test: true, Tags: []string{"siemrelay_test"},
	}})
	return r, nil
}
