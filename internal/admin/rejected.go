package admin

import "time"

// RejectedPage is a page of rejected bodies.
type RejectedPage struct {
	Rejected []Rejected `json:"rejected"`
	Next     int64      `json:"next"` // After of the next page, 0 if this is the last
}

// Rejected is a body that the door answered with 400.
type Rejected struct {
	ID      int64     `json:"id"`
	At      time.Time `json:"at"`
	Address string    `json:"address"` // of the sender, as the door saw it
	Reason  string    `json:"reason"`
	Size    int       `json:"size"` // of the body in bytes
}

// RejectedDetail is a rejected body itself.
type RejectedDetail struct {
	Rejected
	Body Body `json:"body"`
}

// AcceptRequest names rejected bodies.
type AcceptRequest struct {
	IDs    []int64 `json:"ids"`
	DryRun bool    `json:"dry_run,omitempty"`
}

// Check returns an Error for a request that can't be meant.
func (a AcceptRequest) Check() error {
	if len(a.IDs) == 0 {
		return Errorf(Invalid, "no rejected bodies are chosen: give ids")
	}
	return checkIDs(a.IDs)
}

// AcceptResult has one Acceptance for each id, in the order of the request.
type AcceptResult struct {
	Results []Acceptance `json:"results"`
	DryRun  bool         `json:"dry_run"`
}

// Failed counts the ids that were not accepted.
func (r AcceptResult) Failed() int {
	n := 0
	for _, a := range r.Results {
		if a.Error != nil {
			n++
		}
	}
	return n
}

// Acceptance is what became of one rejected body.
type Acceptance struct {
	ID        int64  `json:"id"`
	EventID   string `json:"event_id,omitempty"`
	Sequence  uint64 `json:"sequence,omitempty"`
	Duplicate bool   `json:"duplicate,omitempty"` // the event was there already: the sender's retry had come
	Error     *Error `json:"failure,omitempty"`   // it is still among the rejected, unless it is NotFound
}
