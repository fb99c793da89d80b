package admin

import "time"

// Status is a siemrelay at one moment. The counts of each output are one
// consistent snapshot: they always add up, see Ledger.
type Status struct {
	Version  string         `json:"version"` // of the siemrelay that answers
	Running  bool           `json:"running"` // false: read from the files of a stopped one
	Started  time.Time      `json:"started,omitzero"`
	Ready    bool           `json:"ready"`               // new webhooks are accepted
	NotReady string         `json:"not_ready,omitempty"` // why they are not
	Spool    SpoolStatus    `json:"spool"`
	Receiver *ReceiverStats `json:"receiver,omitempty"` // since the start, of a running one
	Outputs  []OutputStatus `json:"outputs"`            // configured ones first, in their order
	Rejected int            `json:"rejected"`           // bodies kept that the door refused
	// Problems are sentences about what a person should see to, the worst first.
	Problems []string `json:"problems"`
}

// SpoolStatus is the log of accepted events, and the dead letters beside it.
type SpoolStatus struct {
	Dir             string `json:"dir"`
	Bytes           int64  `json:"bytes"`
	MaxBytes        int64  `json:"max_bytes"`
	DeadLetterBytes int64  `json:"dead_letter_bytes"`
	DeadLetterMax   int64  `json:"dead_letter_max_bytes"`
}

// ReceiverStats count webhooks since the process was started.
type ReceiverStats struct {
	Accepted     uint64    `json:"accepted"`   // new events
	Duplicates   uint64    `json:"duplicates"` // the sender's retries of events that were there
	Rejected     uint64    `json:"rejected"`   // every answer but 200
	LastAccepted time.Time `json:"last_accepted,omitzero"`
}

// State is how an output does.
type State string

// The states of an output.
const (
	StateOK       State = "ok"
	StateRetrying State = "retrying" // the last batch failed and is tried again
	StatePaused   State = "paused"   // it can't go on until somebody mends something
	StateStopped  State = "stopped"  // nothing works on it: see Running and Configured
)

// OutputStatus is one output.
type OutputStatus struct {
	Name        string    `json:"name"`
	Type        string    `json:"type,omitempty"`
	Format      string    `json:"format,omitempty"`
	Configured  bool      `json:"configured"` // false: it has left the configuration
	State       State     `json:"state"`
	Reason      string    `json:"reason,omitempty"` // of the state, one word
	Error       string    `json:"error,omitempty"`  // the last one of this state
	Since       time.Time `json:"since,omitzero"`   // when the state began
	LastSuccess time.Time `json:"last_success,omitzero"`
	Ledger
	// OldestPending is when the first event was accepted that the output has not
	// come to yet; replays and queued letters do not count.
	OldestPending time.Time `json:"oldest_pending,omitzero"`
	// LagSeconds is the age of OldestPending, 0 if there is none.
	LagSeconds float64 `json:"lag_seconds"`
}

// Ledger is what became of the events of one output. Always
// Entered = Delivered + Sent + Filtered + Dead + Dropped + Unreadable + Pending.
type Ledger struct {
	Entered    uint64 `json:"entered"`
	Delivered  uint64 `json:"delivered"`
	Sent       uint64 `json:"sent"`       // handed over, and nobody says whether they were received
	Filtered   uint64 `json:"filtered"`   // left out by the output's filter
	Dead       uint64 `json:"dead"`       // in its dead letters
	Dropped    uint64 `json:"dropped"`    // given up by hand
	Unreadable uint64 `json:"unreadable"` // damaged on the disk
	Pending    uint64 `json:"pending"`
	Replaying  uint64 `json:"replaying"` // of Pending: of a replay
	Queued     uint64 `json:"queued"`    // of Pending: dead letters that are sent again
}

// Adds tells whether the ledger adds up.
func (l Ledger) Adds() bool {
	return l.Entered == l.Delivered+l.Sent+l.Filtered+l.Dead+l.Dropped+l.Unreadable+l.Pending
}
