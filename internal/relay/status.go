package relay

import "time"

// The states of an output.
const (
	StateOK       = "ok"       // nothing is wrong
	StateRetrying = "retrying" // something failed and is tried again
	StatePaused   = "paused"   // somebody has to mend something
)

// Status is how an output is.
type Status struct {
	// State is StateOK, StateRetrying or StatePaused.
	State string
	// Reason is why, as in the label of siemrelay_output_retries_total, Error the last
	// error, of at most 1,000 bytes, Since when the trouble began, and Tries how often
	// something was tried in vain since then. They are zero in StateOK.
	Reason, Error string
	Since         time.Time
	Tries         int
	// LastSuccess is when an event was last delivered or sent; zero if none was since the start.
	LastSuccess time.Time
}

// Status returns how the output is. It is safe for concurrent use.
func (r *Relay) Status() Status { return r.trouble.read() }

func (t *trouble) read() Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status
}

// publish makes the status what the rest of t says; err is the last error.
func (t *trouble) publish(err error) {
	s := Status{State: t.now.state()}
	if t.now != "" {
		s.Reason, s.Error, s.Since, s.Tries = string(t.now), clip(err.Error(), maxErrorText), t.since, t.tries
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s.LastSuccess = t.status.LastSuccess
	t.status = s
}

// success notes that an event was delivered or sent.
func (t *trouble) success() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.status.LastSuccess = time.Now()
}

// state is the state of an output that has the trouble r, "" being none.
func (r reason) state() string {
	switch {
	case r == "":
		return StateOK
	case r.pauses():
		return StatePaused
	}
	return StateRetrying
}
