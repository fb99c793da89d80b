package admin

import (
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/siemrelay/siemrelay/internal/login"
)

// maxFailures is how many failed logins a minute one address has, for IPv6 one /64.
// Then nobody can log in from there with a password until the minute is over; who is
// logged in already, and the token, are not concerned.
const maxFailures = 20

// User is somebody who may log in.
type User struct {
	login.Credential
	Role Role
}

// users are who may log in.
type users struct {
	list     []User
	logins   *login.Set
	failures *login.Failures
	sampler  *login.Sampler
	counted  *prometheus.CounterVec // by result: ok, failed, limited
}

// newUsers returns nil if there are none.
func newUsers(o Options) (*users, error) {
	if len(o.Users) == 0 {
		return nil, nil
	}
	u := &users{list: o.Users, failures: login.NewFailures(maxFailures, o.Now), sampler: login.NewSampler(o.Now)}
	var credentials []login.Credential
	for _, user := range o.Users {
		if user.Role != Viewer && user.Role != Operator {
			return nil, fmt.Errorf("check role %q of user %q: it must be viewer or operator", user.Role, user.Username)
		}
		credentials = append(credentials, user.Credential)
	}
	var err error
	if u.logins, err = login.NewSet(credentials); err != nil {
		return nil, err
	}
	u.counted = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "siemrelay", Subsystem: "admin", Name: "logins_total",
		Help: "Logins with a password at the admin listener, by result. A machine that shows its password with each request counts only where that is wrong.",
	}, []string{"result"})
	for _, result := range []string{"ok", "failed", "limited"} {
		u.counted.WithLabelValues(result)
	}
	if o.Registry == nil {
		return u, nil
	}
	if err := o.Registry.Register(u.counted); err != nil {
		return nil, fmt.Errorf("register admin metrics: %w", err)
	}
	return u, nil
}

// attempt is what became of a password.
type attempt int

const (
	wrong attempt = iota
	right
	tooMany // it was not even looked at
)

// check looks at a "user:password" that came from an address.
func (s *Server) check(given []byte, from netip.Addr) (login.Match, attempt) {
	u := s.users
	if u.failures.Over(from) {
		u.counted.WithLabelValues("limited").Inc()
		return login.Match{}, tooMany
	}
	m, found := u.logins.Find(given)
	if found {
		return m, right
	}
	u.counted.WithLabelValues("failed").Inc()
	if u.sampler.Allow(from) { // a mistyped password is nearly one, and a user name may be one
		s.log.Warn("login failed; more from this address within a minute are counted, not logged", "address", from)
	}
	u.failures.Add(from)
	if u.failures.Over(from) {
		s.log.Warn("too many failed logins, refusing more from this address for the rest of the minute", "address", from, "failures", maxFailures)
	}
	return login.Match{}, wrong
}

// knowsToken tells whether these header fields are one that holds the token.
func (s *Server) knowsToken(authorization []string) bool {
	if len(authorization) != 1 || s.announced.token == "" {
		return false
	}
	scheme, token, _ := strings.Cut(authorization[0], " ")
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare([]byte(token), []byte(s.announced.token)) == 1
}

// identifyMachine looks at the name and password that a machine shows. If they are not
// right it answers the request.
func (s *Server) identifyMachine(w http.ResponseWriter, r *http.Request, authorization []string) Caller {
	var buffer [login.BasicBuffer]byte
	given, ok := []byte(nil), false
	if s.users != nil && len(authorization) == 1 {
		given, ok = login.Basic(buffer[:], []byte(authorization[0]))
	}
	if !ok {
		s.askForToken(w, r)
		return Caller{}
	}
	m, result := s.check(given, peerAddress(r))
	switch result {
	case right:
		return Caller{Name: s.users.list[m.Index].Username, Role: s.users.list[m.Index].Role}
	case tooMany:
		w.Header().Set("Retry-After", retryLogin)
		s.denyMachine(w, r, Refusal{http.StatusTooManyRequests, tooManyText})
	default:
		s.askForToken(w, r)
	}
	return Caller{}
}

// identifySession returns who is logged in, and a nil session if nobody is.
func (s *Server) identifySession(r *http.Request) (Caller, *session) {
	if s.users == nil {
		return Caller{}, nil
	}
	cookies := r.CookiesNamed(s.cookieName(r))
	if len(cookies) != 1 {
		return Caller{}, nil
	}
	who := s.sessions.find(cookies[0].Value)
	if who == nil {
		return Caller{}, nil
	}
	if !s.users.logins.Holds(who.match) { // the password has changed
		s.sessions.finish(cookies[0].Value)
		return Caller{}, nil
	}
	user := s.users.list[who.match.Index]
	return Caller{Name: user.Username, Role: user.Role, Session: true}, who
}
