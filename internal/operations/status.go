package operations

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/ledger"
)

// Limits of what a person is bothered with.
const (
	longRetry = 5 * time.Minute // an outage that is shorter may be a restart
	almostAll = 80              // percent of the room for dead letters
)

// Status implements admin.Operations.
func (d *Desk) Status(context.Context) (admin.Status, error) {
	now := d.o.Now()
	used, limit := d.o.Letters.Full()
	s := admin.Status{
		Version: d.o.Version,
		Spool: admin.SpoolStatus{
			Dir: d.o.Dir, Bytes: segmentBytes(d.o.Dir), MaxBytes: d.o.MaxSize,
			DeadLetterBytes: used, DeadLetterMax: limit,
		},
		Outputs:  []admin.OutputStatus{},
		Problems: []string{},
	}
	if d.o.Live != nil {
		d.live(&s)
	} else {
		s.NotReady = "siemrelay is not running"
	}
	entries := d.entries()
	for _, o := range d.o.Outputs {
		i := slices.IndexFunc(entries, func(e ledger.Entry) bool { return e.Output == o.Name })
		e := ledger.Entry{Output: o.Name} // configured, and never started yet
		if i >= 0 {
			e = entries[i]
			entries = slices.Delete(entries, i, i+1)
		}
		s.Outputs = append(s.Outputs, d.configured(o, e, now))
	}
	for _, e := range entries {
		s.Outputs = append(s.Outputs, d.withOldest(admin.OutputStatus{Name: e.Output, State: admin.StateStopped, Ledger: books(e)}, e, now))
	}
	s.Problems = append(s.Problems, d.problems(s, now)...)
	rejects, err := d.rejects()
	if err == nil {
		s.Rejected, err = rejects.Count()
	}
	if err != nil {
		s.Problems = append(s.Problems, fmt.Sprintf("Rejected bodies: %v.", err))
	}
	return s, nil
}

func (d *Desk) live(s *admin.Status) {
	s.Running, s.Ready, s.Started = true, true, d.o.Live.Started
	if err := d.o.Live.Ready(); err != nil {
		s.Ready, s.NotReady = false, err.Error()
	}
	if d.o.Live.Receiver != nil {
		stats := d.o.Live.Receiver()
		s.Receiver = &stats
	}
}

func (d *Desk) configured(o Output, e ledger.Entry, now time.Time) admin.OutputStatus {
	s := admin.OutputStatus{
		Name: o.Name, Type: o.Type, Format: o.Format, Configured: true,
		State: admin.StateStopped, Ledger: books(e),
	}
	if o.Health != nil {
		h := o.Health()
		s.State, s.Reason, s.Error = h.State, h.Reason, strings.ToValidUTF8(h.Error, "\uFFFD")
		s.Since, s.LastSuccess = h.Since, h.LastSuccess
	}
	return d.withOldest(s, e, now)
}

func books(e ledger.Entry) admin.Ledger {
	return admin.Ledger{
		Entered: e.Entered, Delivered: e.Delivered, Sent: e.Sent, Filtered: e.Filtered, Dead: e.Dead, Dropped: e.Dropped,
		Unreadable: e.Unreadable, Pending: e.Pending, Replaying: e.Replaying, Queued: e.Queued,
	}
}

// withOldest completes s by the age of the oldest event that the output has not
// come to.
func (d *Desk) withOldest(s admin.OutputStatus, e ledger.Entry, now time.Time) admin.OutputStatus {
	at, err := d.o.Ages.OldestPending(e)
	if err != nil {
		d.o.Log.Warn("could not look up the oldest pending event", "output", s.Name, "sequence", e.Next, "error", err)
	}
	if !at.IsZero() {
		s.OldestPending = at
		s.LagSeconds = max(now.Sub(at), 0).Seconds()
	}
	return s
}

// problems says what a person should see to, the worst first.
func (d *Desk) problems(s admin.Status, now time.Time) []string {
	var list []string
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if s.Running && !s.Ready {
		add("New webhooks get 503: %s.", s.NotReady)
	}
	if s.Running && d.o.Live.Warnings != nil {
		for _, w := range d.o.Live.Warnings() {
			add("/-/ready is 503: %s.", w)
		}
	}
	if p := percent(s.Spool.DeadLetterBytes, s.Spool.DeadLetterMax); p >= almostAll {
		add("Dead letters take %d%% of dead_letters.max_size; when it is reached, an output with one more pauses. Replay or drop some, or give them more room.", p)
	}
	for _, o := range s.Outputs {
		switch {
		case o.State == admin.StatePaused:
			add("Output %s is paused since %s: %s.", o.Name, clock(o.Since), because(o))
		case o.State == admin.StateRetrying && now.Sub(o.Since) > longRetry:
			add("Output %s retries since %s: %s.", o.Name, clock(o.Since), because(o))
		case o.State == admin.StateStopped && o.Configured && s.Running:
			add("Output %s has stopped: %s. Its events are kept; restart siemrelay.", o.Name, because(o))
		}
	}
	for _, o := range s.Outputs {
		if o.Unreadable > 0 {
			add("%s of output %s could not be read from the disk; what is left of the files is in %s.", events(o.Unreadable, "event"), o.Name, filepath.Join(d.o.Dir, "aside"))
		}
		if o.Dead > 0 && o.Configured {
			add("Output %s has %s: siemrelay deadletters list --output %s", o.Name, events(o.Dead, "dead letter"), o.Name)
		}
		if !o.Configured {
			add("Output %s has left the configuration; %s and %s are kept for it. Put it back, or give them up: siemrelay outputs forget %s",
				o.Name, events(o.Pending, "pending event"), events(o.Dead, "dead letter"), o.Name)
		}
	}
	return list
}

func because(o admin.OutputStatus) string {
	switch {
	case o.Error != "":
		return strings.TrimRight(o.Error, ".")
	case o.Reason != "":
		return o.Reason
	}
	return "the log says why"
}

func clock(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func events(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func percent(part, whole int64) int64 {
	if whole <= 0 {
		return 0
	}
	return int64(float64(part) / float64(whole) * 100)
}

// segmentBytes is what the files of the log take.
func segmentBytes(dir string) int64 {
	entries, err := os.ReadDir(filepath.Join(dir, "segments"))
	if err != nil {
		return 0
	}
	var sum int64
	for _, e := range entries {
		if info, err := e.Info(); err == nil { // it may be gone by now
			sum += info.Size()
		}
	}
	return sum
}
