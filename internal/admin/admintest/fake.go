// Package admintest has an admin.Operations and admin.Explorer for tests of what uses
// them.
//
// It guarantees that every method answers with what Sample returns and notes how
// it was called. It knows nothing of spools and outputs.
package admintest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/siemrelay/siemrelay/internal/admin"
)

// Fake answers each call with the sample of its type, or with Err.
type Fake struct {
	// Err, if not nil, is the answer to everything.
	Err error
	// Samples are the answers; NewFake fills them.
	Samples Samples

	mu    sync.Mutex
	calls []string
}

// Samples has one answer of each kind.
type Samples struct {
	Status       admin.Status
	Page         admin.LetterPage
	Detail       admin.LetterDetail
	Letters      admin.LetterResult
	RejectedPage admin.RejectedPage
	Rejected     admin.RejectedDetail
	Accepted     admin.AcceptResult
	Replay       admin.ReplayResult
	Cancel       admin.CancelResult
	Forget       admin.ForgetResult
	Explorer     ExplorerSamples
}

// NewFake returns a fake whose samples have every field set, with odd bytes where
// foreign text may be.
func NewFake() *Fake {
	at := time.Date(2026, 6, 19, 9, 30, 4, 123456789, time.UTC)
	letter := admin.Letter{
		ID: 7, Output: "kibana", Reason: "refused", Error: "mapper_parsing_exception: \"<b>\" \x1b[31m&\u2028", Tries: 3,
		First: at, Refused: at.Add(time.Minute), Accepted: at.Add(-time.Hour), EventID: "0123456789abcdef0123456789abcdef",
		Sequence: 1 << 60, Kind: "threat", Company: "acme", Record: "r-1", Title: "Änderung \x1b]0;owned\x07", Code: "threat.create", Size: 42,
	}
	rejected := admin.Rejected{ID: 3, At: at, Address: "203.0.113.9:4711", Reason: "malformed", Size: 3}
	return &Fake{Samples: Samples{
		Status: admin.Status{
			Version: "1.2.3", Running: true, Started: at, NotReady: "spool is full",
			Spool:    admin.SpoolStatus{Dir: "/var/lib/siemrelay", Bytes: 1 << 40, MaxBytes: 1 << 41, DeadLetterBytes: 5, DeadLetterMax: 1 << 30},
			Receiver: &admin.ReceiverStats{Accepted: 9, Duplicates: 2, Rejected: 1, LastAccepted: at},
			Outputs: []admin.OutputStatus{{
				Name: "kibana", Type: "elasticsearch", Format: "ecs", Configured: true, State: admin.StatePaused, Reason: "not_ready",
				Error: "401", Since: at, LastSuccess: at.Add(-time.Minute),
				Ledger:        admin.Ledger{Entered: 36, Delivered: 1, Sent: 8, Filtered: 2, Dead: 3, Dropped: 4, Unreadable: 5, Pending: 13, Replaying: 6, Queued: 7},
				OldestPending: at.Add(-time.Hour), LagSeconds: 3600,
			}, {Name: "old", State: admin.StateStopped}},
			Rejected: 1, Problems: []string{"output kibana is paused"},
		},
		Page: admin.LetterPage{Letters: []admin.Letter{letter}, Total: 12, Bytes: 504, Next: 7},
		Detail: admin.LetterDetail{
			Letter: letter, Body: admin.NewBody([]byte("{\"a\":\"\xff\"}")),
			Now: &admin.Preview{Format: "ecs", Filtered: true, Record: admin.NewBody([]byte(`{"ecs":{"version":"9.4.0"}}`))},
		},
		Letters:      admin.LetterResult{Letters: 3, Bytes: 99, Missing: []int64{8}, DryRun: true},
		RejectedPage: admin.RejectedPage{Rejected: []admin.Rejected{rejected}, Next: 3},
		Rejected:     admin.RejectedDetail{Rejected: rejected, Body: admin.NewBody([]byte("{\"x"))},
		Accepted: admin.AcceptResult{DryRun: true, Results: []admin.Acceptance{
			{ID: 3, EventID: "ab", Sequence: 12, Duplicate: true},
			{ID: 4, Error: admin.Errorf(admin.NotFound, "there is no rejected body 4")},
		}},
		Replay:   admin.ReplayResult{Output: "kibana", Entries: 1000, First: at, DryRun: true},
		Cancel:   admin.CancelResult{Output: "kibana", Dropped: 10, DryRun: true},
		Forget:   admin.ForgetResult{Output: "old", Pending: 4, Dead: 2, DryRun: true},
		Explorer: explorerSamples(at),
	}}
}

var _ admin.Operations = (*Fake)(nil)

// Calls returns how the methods were called since the last time.
func (f *Fake) Calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := f.calls
	f.calls = nil
	return calls
}

func did[T any](f *Fake, sample T, name string, args ...any) (T, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, fmt.Sprintf("%s%+v", name, args))
	if f.Err != nil {
		var none T
		return none, f.Err
	}
	return sample, nil
}

// Status implements admin.Operations.
func (f *Fake) Status(context.Context) (admin.Status, error) {
	return did(f, f.Samples.Status, "Status")
}

// DeadLetters implements admin.Operations.
func (f *Fake) DeadLetters(_ context.Context, q admin.LetterQuery) (admin.LetterPage, error) {
	return did(f, f.Samples.Page, "DeadLetters", q)
}

// DeadLetter implements admin.Operations.
func (f *Fake) DeadLetter(_ context.Context, id int64) (admin.LetterDetail, error) {
	return did(f, f.Samples.Detail, "DeadLetter", id)
}

// ReplayDeadLetters implements admin.Operations.
func (f *Fake) ReplayDeadLetters(_ context.Context, a admin.LetterAction) (admin.LetterResult, error) {
	return did(f, f.Samples.Letters, "ReplayDeadLetters", a)
}

// DropDeadLetters implements admin.Operations.
func (f *Fake) DropDeadLetters(_ context.Context, a admin.LetterAction) (admin.LetterResult, error) {
	return did(f, f.Samples.Letters, "DropDeadLetters", a)
}

// Rejected implements admin.Operations.
func (f *Fake) Rejected(_ context.Context, p admin.Page) (admin.RejectedPage, error) {
	return did(f, f.Samples.RejectedPage, "Rejected", p)
}

// RejectedBody implements admin.Operations.
func (f *Fake) RejectedBody(_ context.Context, id int64) (admin.RejectedDetail, error) {
	return did(f, f.Samples.Rejected, "RejectedBody", id)
}

// AcceptRejected implements admin.Operations.
func (f *Fake) AcceptRejected(_ context.Context, a admin.AcceptRequest) (admin.AcceptResult, error) {
	return did(f, f.Samples.Accepted, "AcceptRejected", a)
}

// Replay implements admin.Operations.
func (f *Fake) Replay(_ context.Context, r admin.ReplayRequest) (admin.ReplayResult, error) {
	return did(f, f.Samples.Replay, "Replay", r)
}

// CancelReplay implements admin.Operations.
func (f *Fake) CancelReplay(_ context.Context, r admin.OutputRequest) (admin.CancelResult, error) {
	return did(f, f.Samples.Cancel, "CancelReplay", r)
}

// Forget implements admin.Operations.
func (f *Fake) Forget(_ context.Context, r admin.OutputRequest) (admin.ForgetResult, error) {
	return did(f, f.Samples.Forget, "Forget", r)
}
