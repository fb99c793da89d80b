package admin

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Operations is what a person can see and mend. Two things implement it: the desk
// of package operations, over the stores themselves, and Client, over HTTP. Both
// give the same answers and the same errors: an *Error where it is the request
// that can't be met, any other where something broke.
//
// What changes something takes a DryRun, which changes nothing and gives the same
// answer. What is chosen may change between the two: others work at the same time.
type Operations interface {
	// Status never fails because of an output: it tells what is wrong with it.
	Status(ctx context.Context) (Status, error)

	// DeadLetters lists what outputs refused for good, in the order of their ids.
	DeadLetters(ctx context.Context, q LetterQuery) (LetterPage, error)
	// DeadLetter returns one with its body.
	DeadLetter(ctx context.Context, id int64) (LetterDetail, error)
	// ReplayDeadLetters sets letters back to pending: each is normalised again from
	// its raw body and sent again.
	ReplayDeadLetters(ctx context.Context, a LetterAction) (LetterResult, error)
	// DropDeadLetters gives letters up.
	DropDeadLetters(ctx context.Context, a LetterAction) (LetterResult, error)

	// Rejected lists the bodies that the door answered with 400, in the order of
	// their ids.
	Rejected(ctx context.Context, p Page) (RejectedPage, error)
	// RejectedBody returns one with its body.
	RejectedBody(ctx context.Context, id int64) (RejectedDetail, error)
	// AcceptRejected takes bodies in after all, as if the door had: each becomes an
	// event, durably, and leaves the rejected. Each id has a result of its own.
	AcceptRejected(ctx context.Context, a AcceptRequest) (AcceptResult, error)

	// Replay enters the events of a time again at an output. There is one replay for
	// an output at a time: a second one is a Conflict.
	Replay(ctx context.Context, r ReplayRequest) (ReplayResult, error)
	// CancelReplay drops what a replay has not delivered yet.
	CancelReplay(ctx context.Context, r OutputRequest) (CancelResult, error)
	// Forget gives up everything that is kept for an output that has left the
	// configuration. One that is in it is a Conflict.
	Forget(ctx context.Context, r OutputRequest) (ForgetResult, error)
}

// Code tells kinds of errors apart.
type Code string

// The codes, and the HTTP status of each.
const (
	Invalid     Code = "invalid"     // 400: the request itself is wrong
	Denied      Code = "denied"      // 401, 403: not with this token, not from there
	NotFound    Code = "not_found"   // 404
	Conflict    Code = "conflict"    // 409: not as things are now
	Unavailable Code = "unavailable" // 503: it may work later
	Internal    Code = "internal"    // 500, and whatever else a server may say
)

// Error is why a request could not be met, in words for a person. Its JSON is the
// body of every answer that is not 200.
type Error struct {
	Code Code   `json:"code"`
	Text string `json:"error"`
}

// Errorf makes an Error.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Text: fmt.Sprintf(format, args...)}
}

func (e *Error) Error() string { return e.Text }

// CodeOf returns the code of an Error, and Internal for any other error.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}

// Limits of a page of a listing.
const (
	DefaultPage = 100
	MaxPage     = 1000
)

// Page is which part of a listing is wanted.
type Page struct {
	Limit int   `json:"limit,omitempty"` // 0 is DefaultPage; at most MaxPage
	After int64 `json:"after,omitempty"` // only ids above it: Next of the page before
}

// Normal returns the page with its defaults, or an Error.
func (p Page) Normal() (Page, error) {
	if p.Limit == 0 {
		p.Limit = DefaultPage
	}
	if p.Limit < 0 || p.Limit > MaxPage {
		return p, Errorf(Invalid, "limit %d: it must be 1 to %d", p.Limit, MaxPage)
	}
	if p.After < 0 {
		return p, Errorf(Invalid, "after %d: it must be an id", p.After)
	}
	return p, nil
}

// OutputRequest names an output.
type OutputRequest struct {
	Output string `json:"output"`
	DryRun bool   `json:"dry_run,omitempty"`
}

// ReplayRequest asks for the events that were accepted from Since on and before
// Until to be delivered to an output again. A zero Until is now. Events that the
// spool has let go of can't be entered again, nor those that the output has not
// come to yet.
type ReplayRequest struct {
	Output string    `json:"output"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until,omitzero"`
	// Overwrite replaces what the receiver has of the events; only some outputs can.
	Overwrite bool `json:"overwrite,omitempty"`
	DryRun    bool `json:"dry_run,omitempty"`
}

// ReplayResult says how many events a replay enters.
type ReplayResult struct {
	Output  string    `json:"output"`
	Entries uint64    `json:"entries"`
	First   time.Time `json:"first,omitzero"` // acceptance of the first of them
	DryRun  bool      `json:"dry_run"`
}

// CancelResult says how many events of a replay were still pending, and are now
// dropped.
type CancelResult struct {
	Output  string `json:"output"`
	Dropped uint64 `json:"dropped"`
	InHand  uint64 `json:"in_hand"` // which the output has, and goes on trying
	DryRun  bool   `json:"dry_run"`
}

// ForgetResult says what was given up.
type ForgetResult struct {
	Output  string `json:"output"`
	Pending uint64 `json:"pending"` // events that were never delivered to it
	Dead    uint64 `json:"dead"`    // its dead letters
	DryRun  bool   `json:"dry_run"`
}
