package admin

import (
	"net/http"
	"net/url"
	"strings"
)

// The gate: what each request gets, in the order of the checks.
//
//	/-/healthy, /-/ready        always answered
//	a name that is not ours     403, see hosts
//	a write from another site   403
//	/login, /logout, /assets/   open to everybody
//	no caller                   401, or the login page
//	a write of a viewer         403
//
// Who is the caller depends on the path. The API and the metrics are for machines: there
// an Authorization field decides, the token or a user's name and password. For everything
// else, and where there is no such field, a session decides. Where there are no users,
// whoever reaches the listener is an operator; but the API wants the token all the same,
// except for the status.

// kind is whom a path is for.
type kind int

const (
	forPeople kind = iota
	forMachines
	forEverybody
	forProbes
)

func kindOf(path string) kind {
	switch {
	case path == HealthyPath, path == ReadyPath:
		return forProbes
	case path == LoginPath, path == LogoutPath:
		return forEverybody
	case path == MetricsPath, strings.HasPrefix(path, apiPrefix):
		return forMachines
	}
	return forPeople
}

// safe tells whether a request can't change anything.
func safe(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	Harden(w.Header())
	k := kindOf(r.URL.Path)
	if k == forProbes {
		s.mux.ServeHTTP(w, r)
		return
	}
	if !s.hosts.allowed(r) {
		s.deny(w, r, Refusal{http.StatusForbidden, "The host " + quoted(r.Host) + " is not this machine: use 127.0.0.1 or localhost, or list the name in admin.hosts."})
		return
	}
	if err := s.origins.Check(r); err != nil {
		s.deny(w, r, Refusal{http.StatusForbidden, "The request comes from another site."})
		return
	}
	if k == forEverybody || safe(r) && strings.HasPrefix(r.URL.Path, AssetsPath) {
		s.mux.ServeHTTP(w, r)
		return
	}
	caller, who := s.identify(w, r, k)
	switch {
	case caller.Role == "": // identify has answered
	case !safe(r) && !caller.Operates():
		s.deny(w, r, Refusal{http.StatusForbidden, "You may look, but not change anything: your role is " + string(caller.Role) + "."})
	default:
		if !safe(r) {
			s.log.Info("an operator asks for a change", "user", caller.Name, "address", peerAddress(r), "method", r.Method, "path", r.URL.Path)
		}
		s.carryOut(w, r.WithContext(WithCaller(r.Context(), caller)), who)
	}
}

// carryOut serves a request that may be made.
func (s *Server) carryOut(w http.ResponseWriter, r *http.Request, who *session) {
	if s.console != nil && isStream(r) && kindOf(r.URL.Path) == forPeople {
		s.stream(w, r, who)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// identify finds out who the caller is. Where nobody is, it answers the request and
// returns a caller without a role.
func (s *Server) identify(w http.ResponseWriter, r *http.Request, k kind) (Caller, *session) {
	authorization := r.Header.Values("Authorization")
	if s.knowsToken(authorization) {
		return Caller{Role: Operator}, nil
	}
	if k == forMachines && len(authorization) > 0 {
		return s.identifyMachine(w, r, authorization), nil
	}
	if caller, who := s.identifySession(r); who != nil {
		return caller, who
	}
	switch {
	case s.users != nil && k == forMachines:
		s.askForToken(w, r)
	case s.users != nil:
		s.askToLogIn(w, r)
	case k == forPeople:
		return Caller{Role: Operator}, nil
	case r.URL.Path == MetricsPath, r.URL.Path == StatusPath:
		return Caller{Role: Viewer}, nil
	default:
		s.askForToken(w, r)
	}
	return Caller{}, nil
}

// askForToken answers a machine that has shown nothing, or the wrong thing.
func (s *Server) askForToken(w http.ResponseWriter, r *http.Request) {
	text := "the token is missing or wrong: send the content of " + TokenFile + " in spool.dir as Authorization: Bearer TOKEN"
	w.Header().Add("WWW-Authenticate", `Bearer realm="siemrelay"`)
	if s.users != nil {
		text += ", or the name and password of one of admin.users by basic authentication"
		w.Header().Add("WWW-Authenticate", `Basic realm="siemrelay", charset="UTF-8"`)
	}
	s.denyMachine(w, r, Refusal{http.StatusUnauthorized, text})
}

// askToLogIn sends a person to the login page.
func (s *Server) askToLogIn(w http.ResponseWriter, r *http.Request) {
	to := func(next string) string { return LoginPath + "?next=" + url.QueryEscape(next) }
	switch {
	case r.Header.Get("HX-Request") == "true": // the page stays what it is, so htmx has to leave it
		next := "/"
		if u, err := url.Parse(r.Header.Get("HX-Current-URL")); err == nil {
			next = u.RequestURI()
		}
		w.Header().Set("HX-Redirect", to(next))
		say(w, http.StatusUnauthorized, "log in at "+LoginPath)
	case safe(r) && strings.Contains(r.Header.Get("Accept"), "text/html"):
		w.Header().Set("Location", to(r.URL.RequestURI()))
		w.WriteHeader(http.StatusSeeOther)
	default:
		say(w, http.StatusUnauthorized, "log in at "+LoginPath)
	}
}

// deny answers a request that is not carried out.
func (s *Server) deny(w http.ResponseWriter, r *http.Request, p Refusal) {
	switch known := s.hosts.allowed(r); {
	case kindOf(r.URL.Path) == forMachines:
		s.denyMachine(w, r, p)
	case s.console == nil || !known: // a page for a name that is not ours would load its styles from there
		say(w, p.Status, p.Text)
	default:
		s.console.Refuse(w, r, p)
	}
}

// denyMachine answers the API in JSON.
func (s *Server) denyMachine(w http.ResponseWriter, r *http.Request, p Refusal) {
	if !strings.HasPrefix(r.URL.Path, apiPrefix) {
		say(w, p.Status, p.Text)
		return
	}
	writeJSON(w, p.Status, Errorf(Denied, "%s", p.Text))
}

// quoted cuts and quotes what a client has sent.
func quoted(text string) string {
	if len(text) > 100 {
		text = strings.ToValidUTF8(text[:100], "") + "…"
	}
	return `"` + strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '"' {
			return '?'
		}
		return r
	}, text) + `"`
}
