package endtoend

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"sync"
	"time"
)

// Audit scrapes the metrics all the time and checks every scrape: each output's
// account adds up, no number shrinks that can't, and all that was accepted before
// the scrape has entered.
type Audit struct {
	accepted func() int
	client   *http.Client
	quit     chan struct{}
	done     chan struct{}

	mu       sync.Mutex
	admin    string
	last     map[string]Account
	scrapes  int
	problems []string
}

// StartAudit starts one that waits for a relay. Accepted tells how many events were
// accepted so far, of those that enter every output. Stop ends it.
func StartAudit(accepted func() int) *Audit {
	a := &Audit{
		accepted: accepted,
		client:   &http.Client{Timeout: Patience},
		quit:     make(chan struct{}), done: make(chan struct{}),
		last: map[string]Account{},
	}
	go a.run() // until Stop
	return a
}

// SetAdmin tells where the relay's admin listener is now; empty makes it wait.
func (a *Audit) SetAdmin(address string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.admin = address
}

// Last returns the accounts of the newest scrape.
func (a *Audit) Last() map[string]Account {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.last)
}

// Stop ends the audit and returns how many scrapes there were, and what was wrong.
func (a *Audit) Stop() (scrapes int, problems []string) {
	select {
	case <-a.quit:
	default:
		close(a.quit)
	}
	<-a.done
	a.client.CloseIdleConnections()
	return a.scrapes, a.problems
}

func (a *Audit) run() {
	defer close(a.done)
	for {
		select {
		case <-a.quit:
			return
		case <-time.After(time.Millisecond): // the relay has other work too
			a.scrape()
		}
	}
}

// scrape checks one scrape. One that did not come whole, because the process ended,
// says nothing.
func (a *Audit) scrape() {
	a.mu.Lock()
	admin := a.admin
	a.mu.Unlock()
	if admin == "" {
		return
	}
	accepted := int64(a.accepted())
	response, err := a.client.Get("http://" + admin + "/metrics")
	if err != nil {
		return
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.scrapes++
	accounts, err := ParseAccounts(string(text))
	if err != nil {
		a.problems = append(a.problems, err.Error())
	}
	for name, now := range accounts {
		if problem := problemOf(now, a.last[name], accepted); problem != "" {
			a.problems = append(a.problems, fmt.Sprintf("scrape %d, output %s: %s", a.scrapes, name, problem))
		}
		a.last[name] = now
	}
}

func problemOf(now, before Account, accepted int64) string {
	if err := now.Check(); err != nil {
		return err.Error()
	}
	switch {
	case now.Entered < accepted:
		return fmt.Sprintf("%+v: %d events were accepted before", now, accepted)
	case now.Entered < before.Entered || now.Delivered < before.Delivered || now.Sent < before.Sent || now.Filtered < before.Filtered ||
		now.Dropped < before.Dropped || now.Unreadable < before.Unreadable:
		return fmt.Sprintf("%+v: it was %+v before", now, before)
	}
	return ""
}
