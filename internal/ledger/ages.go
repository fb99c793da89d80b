package ledger

import (
	"sync"
	"time"
)

// Ages tells since when outputs have an event before them. It is safe for several
// goroutines.
type Ages struct {
	log interface {
		AcceptedAt(sequence uint64) (time.Time, error)
	}

	mu    sync.Mutex
	known map[string]acceptedAt // by output: to look it up reads a part of the log
}

type acceptedAt struct {
	sequence uint64
	at       time.Time
}

// NewAges looks up in log, a spool, when an event was accepted.
func NewAges(log interface {
	AcceptedAt(sequence uint64) (time.Time, error)
}) *Ages {
	return &Ages{log: log, known: map[string]acceptedAt{}}
}

// OldestPending returns when the oldest event that the output has not come to was
// accepted, the zero time if there is none. Replays, and dead letters that are sent
// again, do not count.
func (a *Ages) OldestPending(e Entry) (time.Time, error) {
	if e.Pending <= e.Replaying+e.Queued {
		return time.Time{}, nil
	}
	a.mu.Lock()
	known := a.known[e.Output]
	a.mu.Unlock()
	if known.sequence == e.Next {
		return known.at, nil
	}
	at, err := a.log.AcceptedAt(e.Next)
	if err != nil || at.IsZero() {
		return at, err
	}
	a.mu.Lock()
	a.known[e.Output] = acceptedAt{e.Next, at}
	a.mu.Unlock()
	return at, nil
}
