// Package ledger says what became of every event, output by output, and that it
// adds up:
//
//	entered = delivered + sent + filtered + dead + dropped + unreadable + pending
//
// An event enters an output when it is accepted, and again when a replay enters it.
// It is in exactly one of the others at every moment, and across restarts. Two
// stores know a part each: the spool's cursors, what has passed the output; the dead
// letters, what has left them again. This package adds the two up. It counts nothing
// itself and refuses to know how they keep their counts.
package ledger

import (
	"cmp"
	"slices"

	"github.com/siemrelay/siemrelay/internal/deadletter"
	"github.com/siemrelay/siemrelay/internal/spool"
)

// Entry is the ledger of one output at one moment, in events.
type Entry struct {
	Output string `json:"output"`
	// Entered counts the events that the output should get.
	Entered uint64 `json:"entered"`
	// Delivered counts those that are safe with the receiver.
	Delivered uint64 `json:"delivered"`
	// Sent counts those that were handed over on a way that confirms nothing.
	Sent uint64 `json:"sent"`
	// Filtered counts those that the output's when left out.
	Filtered uint64 `json:"filtered"`
	// Dead counts those that the output refused for good and that are kept.
	Dead uint64 `json:"dead"`
	// Dropped counts those that somebody gave up.
	Dropped uint64 `json:"dropped"`
	// Unreadable counts those that the disk has damaged.
	Unreadable uint64 `json:"unreadable"`
	// Pending counts those that have still to be delivered.
	Pending uint64 `json:"pending"`
	// Replaying and Queued say how many of Pending a replay entered, and how many are
	// dead letters that are to be tried again.
	Replaying uint64 `json:"replaying"`
	Queued    uint64 `json:"queued"`
	// Next is the sequence of the first event of the log that is not settled, Began
	// that of the first one that the output should get.
	Next  uint64 `json:"-"`
	Began uint64 `json:"-"`
}

// Letters is what the ledger needs of the dead letters.
type Letters interface {
	// Accounts returns the account of every output that ever had a dead letter.
	Accounts() map[string]deadletter.Account
}

// Spool is what the ledger needs of the spool.
type Spool interface {
	// Accounts returns the account of every cursor, by name.
	Accounts() []spool.Account
}

// Entries returns the ledger of every output that the spool or the dead letters
// know, by name.
func Entries(s Spool, l Letters) []Entry {
	// The letters first: what they say of an event holds only after the cursor has
	// passed it, so a cursor that is read later agrees with them.
	letters := l.Accounts()
	accounts := s.Accounts()
	entries := make([]Entry, 0, len(accounts))
	for _, a := range accounts {
		entries = append(entries, entry(a, letters[a.Output]))
		delete(letters, a.Output)
	}
	for name, left := range letters { // of an output that has no cursor any more
		handed := left.Dead + left.Queued + left.Delivered + left.Sent + left.Filtered + left.Dropped + left.Lost - left.Carried
		entries = append(entries, entry(spool.Account{Output: name, Entered: handed, Dead: handed}, left))
	}
	slices.SortFunc(entries, func(a, b Entry) int { return cmp.Compare(a.Output, b.Output) })
	return entries
}

// entry adds up the two accounts of one output. Dead is what was handed over and has
// not left: that it is the number of dead letters that can be listed is for the
// dead letters to keep.
func entry(a spool.Account, l deadletter.Account) Entry {
	return Entry{
		Output:     a.Output,
		Entered:    a.Entered + l.Carried,
		Delivered:  a.Delivered + l.Delivered,
		Sent:       a.Sent + l.Sent,
		Filtered:   a.Filtered + l.Filtered,
		Dead:       a.Dead + l.Carried - l.Queued - l.Delivered - l.Sent - l.Filtered - l.Dropped - l.Lost,
		Dropped:    a.Dropped + l.Dropped,
		Unreadable: a.Unreadable + l.Lost,
		Pending:    a.Pending + l.Queued,
		Replaying:  a.Replaying,
		Queued:     l.Queued,
		Next:       a.Next,
		Began:      a.Began,
	}
}
