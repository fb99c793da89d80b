package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/certificate"
	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/internal/sender"
)

// testTimeout bounds the wait for the door, which answers within five seconds.
const testTimeout = 15 * time.Second

// tester sends test events through the real door of this process, as Defense.com would:
// over its TLS, with its login, to its path.
type tester struct {
	receiver config.Receiver
	// address is where the door listens, host:port.
	address string
	// served is the door's certificate, the only one that is trusted; nil over plain HTTP.
	served *certificate.Pair
	now    func() time.Time
}

// sendTest is what the desk calls.
func (p *process) sendTest(ctx context.Context) (admin.TestResult, error) {
	if !p.ready.open.Load() { // until then there is no tester either
		return admin.TestResult{}, admin.Errorf(admin.Unavailable, "%v: try again in a moment", errNotListening)
	}
	return p.tester.send(ctx)
}

// send sends one. What the door does about it is in the result.
func (t *tester) send(ctx context.Context) (admin.TestResult, error) {
	at, err := netip.ParseAddrPort(t.address)
	if err != nil {
		return admin.TestResult{}, fmt.Errorf("send a test event: %w", err)
	}
	u := url.URL{Scheme: "http", Host: at.String(), Path: t.receiver.Path}
	o := sender.Options{Timeout: testTimeout, Direct: true}
	if t.served != nil {
		u.Scheme = "https"
		o.TLS = certificate.Pinned(certificate.Fingerprint(t.served.Leaf()))
	}
	own := []netip.Addr{at.Addr()}
	if at.Addr().IsUnspecified() {
		own = localAddresses()
	}
	way, ok := t.allowed(own)
	if !ok {
		return admin.TestResult{URL: u.String(), Error: fmt.Sprintf("receiver.allow lets no connection of this machine in, so a test event can't come from here: "+
			"add %s to it and restart, or run siemrelay send --test on a machine that is allowed", own[0])}, nil
	}
	u.Host = netip.AddrPortFrom(way, at.Port()).String()
	o.URL = u.String()
	if logins := t.receiver.BasicAuth; len(logins) > 0 {
		o.Username, o.Password = logins[0].Username, logins[0].Password.Value()
	}
	s, err := sender.New(o)
	if err != nil {
		return admin.TestResult{}, fmt.Errorf("send a test event: %w", err)
	}
	attempts := s.Send(ctx, testEvent(t.now()))
	return testResult(o.URL, attempts[len(attempts)-1]), nil
}

// allowed returns the first of this machine's addresses that receiver.allow lets in. A
// connection to one of its own addresses comes from that address.
func (t *tester) allowed(own []netip.Addr) (netip.Addr, bool) {
	for _, a := range own {
		if len(t.receiver.Allow) == 0 || slices.ContainsFunc(t.receiver.Allow, func(p netip.Prefix) bool { return p.Contains(a.Unmap()) }) {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// localAddresses are the addresses of this machine, 127.0.0.1 first.
func localAddresses() []netip.Addr {
	list := []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return list
	}
	for _, a := range addrs {
		network, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		if ip, ok := netip.AddrFromSlice(network.IP); ok && !ip.IsLoopback() && !ip.IsLinkLocalUnicast() { // these need a zone
			list = append(list, ip.Unmap())
		}
	}
	return list
}

// testEvent is a webhook that passes every filter by severity and pages nobody (see
// markAsTest). Its id is new, so that it is no retry of another one.
func testEvent(now time.Time) []byte {
	body, err := json.Marshal(map[string]string{
		"record_type": "Threat", "id": "siemrelay-test-" + strings.ToLower(rand.Text()), "company_id": "siemrelay-test",
		"trigger_action": "create", "title": "Test event of siemrelay", "description": "Sent from the console to see that webhooks reach every output. It is no threat.",
		"risk": "critical", "state": "detected", "type": "User", "created_at": now.UTC().Format(time.RFC3339),
	})
	if err != nil {
		panic(err) // a map of strings always encodes
	}
	return markAsTest(body)
}

// testResult tells how the door answered, and what to do about it.
func testResult(to string, a sender.Attempt) admin.TestResult {
	r := admin.TestResult{URL: to, Status: a.Status, Duration: a.Took.Seconds()}
	var answer struct {
		ID     string `json:"id"`
		Reason string `json:"reason"`
	}
	known := json.Unmarshal([]byte(a.Answer), &answer) == nil
	switch {
	case errors.Is(a.Err, certificate.ErrOther):
		r.Error = "something else than this siemrelay answers there: look at what listens on the port of receiver.listen"
	case a.Err != nil:
		var e *url.Error
		if errors.As(a.Err, &e) {
			a.Err = e.Err
		}
		r.Error = fmt.Sprintf("the webhook's address does not answer: %v", a.Err)
	case a.Accepted() && known && answer.ID != "":
		r.EventID = answer.ID
	case !known || answer.Reason == "":
		r.Error = "something else than siemrelay answers there: look at what listens on the port of receiver.listen"
	case a.Status == http.StatusUnauthorized:
		r.Error = "the first login of receiver.basic_auth was refused: " + answer.Reason
	case a.Status == http.StatusServiceUnavailable:
		r.Error = answer.Reason + "; the status says what is in the way"
	default:
		r.Error = answer.Reason
	}
	return r
}
