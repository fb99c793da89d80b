package main

import (
	"log/slog"

	"github.com/siemrelay/siemrelay/internal/deadletter"
	"github.com/siemrelay/siemrelay/internal/relay"
	"github.com/siemrelay/siemrelay/internal/spool"
	"github.com/siemrelay/siemrelay/normalize"
)

func tags(possibleRetry bool) []string {
	if possibleRetry {
		return []string{normalize.TagPossibleRetry}
	}
	return nil
}

// lanes are the ways on which events come to an output: the log, the dead letters
// that are to be sent again, and what a replay has entered again.
func (p *process) lanes(output string, c *spool.Cursor, log *slog.Logger) []relay.Lane {
	queue := &queueLane{queue: p.letters.Queue(output)}
	replay := c.Replay()
	return []relay.Lane{
		{Source: &spoolLane{output: output, letters: p.letters, log: log, events: c, pass: func() uint64 { return 0 }}},
		{Source: queue, Pass: queue.pass, Overwrite: queue.overwrite},
		{Source: &spoolLane{output: output, letters: p.letters, log: log, events: replay, pass: replay.Pass}, Pass: replay.Pass, Overwrite: replay.Overwrite, WantSequences: true},
	}
}

// events is either lane of a cursor.
type events interface {
	Next() (spool.Record, bool, error)
	Ready() <-chan struct{}
	Commit(next uint64, o spool.Outcome) error
}

// spoolLane shows a lane of a cursor as a relay wants it.
type spoolLane struct {
	output  string
	letters *deadletter.Store
	log     *slog.Logger
	pass    func() uint64 // of the event that Next returned last
	events
}

func (l *spoolLane) Next() (normalize.Raw, bool, error) {
	r, ok, err := l.events.Next()
	return normalize.Raw{ID: r.ID, Sequence: r.Sequence, Accepted: r.Accepted, Body: r.Body, Tags: tags(r.PossibleRetry)}, ok, err
}

func (l *spoolLane) Commit(s relay.Settled) error {
	o := spool.Outcome{Delivered: s.Delivered, Sent: s.Sent, Filtered: s.Filtered, Dead: s.Dead}
	if err := l.events.Commit(s.Next, o); err != nil {
		return err
	}
	l.letters.Settle(l.output, l.pass())
	// A dead letter that a replay has delivered is one no longer. Where that can't be
	// noted it stays in the list, which is too much rather than too little.
	leave := l.letters.Delivered
	if s.Sent > 0 {
		leave = l.letters.Sent
	}
	if err := leave(l.output, s.Sequences); err != nil {
		l.log.Warn("dead letters that a replay has delivered stay in the list", "error", err)
	}
	return nil
}

// queueLane shows the dead letters that are to be sent again.
type queueLane struct {
	queue *deadletter.Queue
	last  deadletter.Letter // that Next returned last
}

func (l *queueLane) pass() uint64    { return l.last.Pass }
func (l *queueLane) overwrite() bool { return l.last.Overwrite }

func (l *queueLane) Ready() <-chan struct{} { return l.queue.Ready() }

func (l *queueLane) Next() (normalize.Raw, bool, error) {
	letter, ok, err := l.queue.Next()
	l.last = letter
	l.last.Body = nil // the relay's for one call
	return normalize.Raw{
		ID: letter.EventID, Sequence: letter.Sequence, Accepted: letter.Accepted, Body: letter.Body, Tags: tags(letter.PossibleRetry),
	}, ok, err
}

func (l *queueLane) Commit(s relay.Settled) error {
	return l.queue.Commit(deadletter.Outcome{Delivered: s.Delivered, Sent: s.Sent, Filtered: s.Filtered})
}

// lettersOf are the dead letters of one output, as its relay wants them.
type lettersOf struct {
	output string
	store  *deadletter.Store
}

func (l lettersOf) Put(list []relay.Letter) error {
	letters := make([]deadletter.Letter, len(list))
	for i, x := range list {
		letters[i] = deadletter.Letter{
			Output: l.output, Pass: x.Pass, Sequence: x.Sequence,
			EventID: x.EventID, Accepted: x.Accepted, PossibleRetry: x.PossibleRetry, Overwrite: x.Overwrite,
			Kind: x.Kind, Company: x.Company, Record: x.Record, Title: x.Title, Code: x.Code,
			Reason: x.Reason, Error: x.Error, Tries: x.Tries, First: x.First, Refused: x.Refused, Body: x.Body,
		}
	}
	return l.store.Put(letters)
}
