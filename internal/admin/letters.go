package admin

import (
	"slices"
	"time"
	"unicode/utf8"
)

// Selection chooses dead letters: those of IDs, or all that match every other
// field that is set, or with All every one of them.
type Selection struct {
	IDs     []int64 `json:"ids,omitempty"`
	Output  string  `json:"output,omitempty"`
	Reason  string  `json:"reason,omitempty"`  // "refused" for example
	Company string  `json:"company,omitempty"` // company_id as it came
	Kind    string  `json:"kind,omitempty"`    // threat, ticket or other
	// Since and Until are a time [Since, Until) in which they were refused for good.
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
	All   bool      `json:"all,omitempty"`
}

// MaxIDs is how many ids a request may name.
const MaxIDs = 1000

// Filters tells whether the selection has anything but ids and All.
func (s Selection) Filters() bool {
	return s.Output != "" || s.Reason != "" || s.Company != "" || s.Kind != "" || !s.Since.IsZero() || !s.Until.IsZero()
}

// CheckList returns an Error for a selection that a listing can't have: ids, All,
// or a filter that can't be meant. One that is empty lists everything.
func (s Selection) CheckList() error {
	if len(s.IDs) > 0 || s.All {
		return Errorf(Invalid, "a listing is chosen by filters only")
	}
	return s.checkFilters()
}

// CheckAction returns an Error for a selection that nothing is done to: an empty
// one, one that mixes ids, filters and All, or a filter that can't be meant.
func (s Selection) CheckAction() error {
	switch {
	case len(s.IDs) > 0 && (s.All || s.Filters()):
		return Errorf(Invalid, "ids go with no other choice")
	case s.All && s.Filters():
		return Errorf(Invalid, "all goes with no other choice")
	case !s.All && !s.Filters() && len(s.IDs) == 0:
		return Errorf(Invalid, "no dead letters are chosen: give ids, an output or another filter, or all")
	}
	if err := checkIDs(s.IDs); err != nil {
		return err
	}
	return s.checkFilters()
}

func (s Selection) checkFilters() error {
	if !s.Since.IsZero() && !s.Until.IsZero() && !s.Since.Before(s.Until) {
		return Errorf(Invalid, "since %s is not before until %s", s.Since.Format(time.RFC3339), s.Until.Format(time.RFC3339))
	}
	if s.Kind != "" && !slices.Contains([]string{"threat", "ticket", "other"}, s.Kind) {
		return Errorf(Invalid, "kind %q: it must be threat, ticket or other", s.Kind)
	}
	return nil
}

func checkIDs(ids []int64) error {
	if len(ids) > MaxIDs {
		return Errorf(Invalid, "%d ids: at most %d in one request", len(ids), MaxIDs)
	}
	for _, id := range ids {
		if id < 1 {
			return Errorf(Invalid, "id %d: it must be 1 or more", id)
		}
	}
	return nil
}

// LetterQuery asks for a page of dead letters.
type LetterQuery struct {
	Selection
	Page
}

// LetterPage is a page of dead letters.
type LetterPage struct {
	Letters []Letter `json:"letters"`
	Total   int      `json:"total"` // that the selection has, on all pages
	Bytes   int64    `json:"bytes"` // that all of them take of dead_letters.max_size
	Next    int64    `json:"next"`  // After of the next page, 0 if this is the last
}

// Letter is a dead letter: an event that an output refused for good.
type Letter struct {
	ID       int64     `json:"id"`
	Output   string    `json:"output"`
	Reason   string    `json:"reason"` // refused, too_large, poison or encode
	Error    string    `json:"error"`  // what the output said
	Tries    int       `json:"tries"`
	First    time.Time `json:"first"`    // when it was first tried
	Refused  time.Time `json:"refused"`  // when it was refused for good
	Accepted time.Time `json:"accepted"` // when the webhook was accepted
	EventID  string    `json:"event_id"`
	Sequence uint64    `json:"sequence"`
	Kind     string    `json:"kind"`
	Company  string    `json:"company,omitempty"`
	Record   string    `json:"record,omitempty"` // id of the threat or ticket
	Title    string    `json:"title"`
	Code     string    `json:"code"`   // event.code
	Size     int       `json:"size"`   // of the body in bytes
	Queued   bool      `json:"queued"` // it is pending again, and in no listing
}

// LetterDetail is a dead letter with its body, and what would be sent now.
type LetterDetail struct {
	Letter
	Body Body     `json:"body"`
	Now  *Preview `json:"now,omitempty"` // nil if the output is not configured
}

// Preview is what an output would get: the body normalised with the mapping and
// encoded in the format of this moment.
type Preview struct {
	Format   string `json:"format"`
	Filtered bool   `json:"filtered"` // the output's filter leaves it out now
	Record   Body   `json:"record"`
}

// LetterAction does something to the dead letters of a selection.
type LetterAction struct {
	Selection
	DryRun bool `json:"dry_run,omitempty"`
}

// LetterResult says how many letters were chosen. Ids that are no dead letters,
// or no longer, are missing; the others are dealt with all the same.
type LetterResult struct {
	Letters int     `json:"letters"`
	Bytes   int64   `json:"bytes"` // that they take of dead_letters.max_size
	Missing []int64 `json:"missing,omitempty"`
	DryRun  bool    `json:"dry_run"`
}

// Body is bytes from outside in JSON: text where they are valid UTF-8, base64
// where they are not.
type Body struct {
	Text   string `json:"text,omitempty"`
	Base64 []byte `json:"base64,omitempty"`
}

// NewBody wraps b, which must not change afterwards.
func NewBody(b []byte) Body {
	if utf8.Valid(b) {
		return Body{Text: string(b)}
	}
	return Body{Base64: b}
}

// Bytes returns what NewBody was given.
func (b Body) Bytes() []byte {
	if b.Base64 != nil {
		return b.Base64
	}
	return []byte(b.Text)
}
