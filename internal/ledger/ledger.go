// Package ledger says what became of every event, output by output, and that it
// adds up:
//
//	entered = delivered + filtered + dead + dropped + unreadable + pending
//
// An event enters an output when it is accepted, and again when a replay enters it.
// It is in exactly one of the others at every moment, and across restarts. The
// counts are kept with the spool's cursors. This package counts nothing itself.
package ledger

import (
	"github.com/siemrelay/siemrelay/internal/spool"
)

// Entry is the ledger of one output at one moment, in events.
type Entry struct {
	Output string `json:"output"`
	// Entered counts the events that the output should get.
	Entered uint64 `json:"entered"`
	// Delivered counts those that are safe with the receiver.
	Delivered uint64 `json:"delivered"`
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
	// Replaying says how many of Pending a replay entered.
	Replaying uint64 `json:"replaying"`
	// Next is the sequence of the first event of the log that is not settled.
	Next uint64 `json:"-"`
}

// Spool is what the ledger needs of the spool.
type Spool interface {
	// Accounts returns the account of every cursor, by name.
	Accounts() []spool.Account
}

// Entries returns the ledger of every output that the spool knows, by name.
func Entries(s Spool) []Entry {
	accounts := s.Accounts()
	entries := make([]Entry, 0, len(accounts))
	for _, a := range accounts {
		entries = append(entries, Entry{
			Output: a.Output, Entered: a.Entered, Delivered: a.Delivered, Filtered: a.Filtered, Dead: a.Dead,
			Dropped: a.Dropped, Unreadable: a.Unreadable, Pending: a.Pending, Replaying: a.Replaying, Next: a.Next,
		})
	}
	return entries
}
