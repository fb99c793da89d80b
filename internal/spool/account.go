package spool

import (
	"cmp"
	"slices"
)

// Account is what became of the events of one output, as far as its cursor knows:
//
//	Entered = Delivered + Sent + Filtered + Dead + Dropped + Unreadable + Pending
type Account struct {
	Output string
	// Entered counts the events that the output should get: those accepted since it
	// began, and those that a replay entered again.
	Entered uint64
	// Delivered counts those that are safe with the receiver.
	Delivered uint64
	// Sent counts those that were handed over on a way that confirms nothing.
	Sent uint64
	// Filtered counts those that are not for this output.
	Filtered uint64
	// Dead counts those that were handed over as dead letters, whatever became of
	// them afterwards.
	Dead uint64
	// Dropped counts those that were given up by hand.
	Dropped uint64
	// Unreadable counts those that the disk has damaged.
	Unreadable uint64
	// Pending counts those that are not settled; Replaying are those among them that
	// a replay entered.
	Pending, Replaying uint64
	// Next is the sequence of the first event of the log that is not settled, Began
	// that of the first one that the output should get.
	Next, Began uint64
}

// Accounts returns the account of every cursor at one moment, by name.
func (s *Spool) Accounts() []Account {
	s.mu.Lock()
	accounts := make([]Account, 0, len(s.settled))
	for name, p := range s.settled {
		accounts = append(accounts, p.account(name, s.next))
	}
	s.mu.Unlock()
	slices.SortFunc(accounts, func(a, b Account) int { return cmp.Compare(a.Output, b.Output) })
	return accounts
}

// account is taken when the log has come to the sequence head.
func (p position) account(name string, head uint64) Account {
	head = max(head, p.next)
	return Account{
		Output:     name,
		Entered:    head - p.began + p.replayed,
		Delivered:  p.delivered,
		Sent:       p.sent,
		Filtered:   p.filtered,
		Dead:       p.dead,
		Dropped:    p.dropped,
		Unreadable: p.unreadable,
		Pending:    head - p.next + p.replaying(),
		Replaying:  p.replaying(),
		Next:       p.next,
		Began:      p.began,
	}
}
