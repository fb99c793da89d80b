package admin

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/siemrelay/siemrelay/internal/certificate"
)

// announceEvery is how often files that could not be written are tried again. A command
// is typed by a person, who looks for the process only after the disk has room again.
const announceEvery = 5 * time.Second

// announcement keeps the files that ReadAccess reads true while the server runs.
type announcement struct {
	dir      string // empty: there is no API, and nothing to announce
	token    string
	log      *slog.Logger
	stopping context.Context // done when Shutdown begins
	tries    sync.WaitGroup

	mu          sync.Mutex // guards what follows
	address     string     // of the listener, empty before Serve and after Shutdown
	fingerprint string
	trying      bool // tryAgain runs, or is about to
}

// tellAddress writes where this process listens, and with which certificate.
func (a *announcement) tellAddress(addr net.Addr, leaf *x509.Certificate) {
	if a.dir == "" {
		return
	}
	a.mu.Lock()
	if a.stopping.Err() == nil { // withdraw may have been here
		a.address = Reachable(addr)
	}
	a.mu.Unlock()
	a.tellCertificate(leaf)
}

// tellCertificate writes which certificate to trust; nil is plain HTTP.
func (a *announcement) tellCertificate(leaf *x509.Certificate) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.address == "" {
		return
	}
	a.fingerprint = ""
	if leaf != nil {
		a.fingerprint = certificate.Fingerprint(leaf)
	}
	// A full disk must not end a process that would recover from it.
	if err := a.write(); err != nil && !a.trying {
		a.log.Error("commands can't reach this process; what they need is written as soon as that can be done", "error", err)
		a.trying = true
		a.tries.Go(a.tryAgain)
	}
}

// tryAgain writes the files as soon as that can be done. withdraw waits for it, after
// Shutdown has told it to stop.
func (a *announcement) tryAgain() {
	for {
		select {
		case <-a.stopping.Done():
			return
		case <-time.After(announceEvery):
		}
		if a.again() {
			return
		}
	}
}

// again tells whether there is nothing left to try.
func (a *announcement) again() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.address == "" {
		return true
	}
	if a.write() != nil {
		return false
	}
	a.trying = false
	a.log.Info("commands can reach this process now")
	return true
}

// write needs a.mu.
func (a *announcement) write() error {
	return writeAccess(a.dir, Access{Address: a.address, Token: a.token, Fingerprint: a.fingerprint})
}

// withdraw takes the files away for good: nobody listens there any more.
func (a *announcement) withdraw() error {
	a.mu.Lock()
	told := a.address != ""
	a.address = ""
	a.mu.Unlock()
	a.tries.Wait()
	if !told {
		return nil
	}
	return removeAccess(a.dir)
}
