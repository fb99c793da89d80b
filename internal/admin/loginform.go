package admin

import (
	"net/http"
	"net/url"
	"strings"
)

const (
	// retryLogin is the wait, in seconds, after which a login is looked at again: the
	// length of login.Window.
	retryLogin  = "60"
	tooManyText = "too many failed logins from this address: try again in a minute"
	// maxForm is far above what a form with a user name and a password has, in bytes.
	maxForm = 16 << 10
)

// loginForm answers LoginPath.
func (s *Server) loginForm(w http.ResponseWriter, r *http.Request) {
	switch {
	case s.users == nil:
		goTo(w, "/")
	case s.console == nil:
		say(w, http.StatusNotFound, "there is no console")
	case r.Method == http.MethodPost:
		s.logIn(w, r)
	case safe(r):
		next := localPath(r.URL.Query().Get("next"))
		if _, who := s.identifySession(r); who != nil {
			goTo(w, next)
			return
		}
		s.console.Login(w, r, LoginPage{Status: http.StatusOK, Next: next})
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		say(w, http.StatusMethodNotAllowed, "the method must be GET, HEAD or POST")
	}
}

// logIn begins a session, or shows the form again.
func (s *Server) logIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		s.console.Login(w, r, LoginPage{Status: http.StatusBadRequest, Next: "/", Problem: "The form could not be read."})
		return
	}
	page := LoginPage{Next: localPath(r.PostForm.Get("next")), Username: r.PostForm.Get("username")}
	m, result := s.check([]byte(page.Username+":"+r.PostForm.Get("password")), peerAddress(r))
	switch result {
	case right:
		if _, who := s.identifySession(r); who != nil {
			s.endSession(r)
		}
		s.users.counted.WithLabelValues("ok").Inc()
		s.log.Info("logged in", "user", s.users.list[m.Index].Username, "address", peerAddress(r))
		http.SetCookie(w, s.cookie(r, s.sessions.begin(m)))
		goTo(w, page.Next)
	case tooMany:
		w.Header().Set("Retry-After", retryLogin)
		page.Status, page.Problem = http.StatusTooManyRequests, "There were too many failed logins from your address. Try again in a minute."
		s.console.Login(w, r, page)
	default:
		page.Status, page.Problem = http.StatusUnauthorized, "The user name or the password is wrong."
		s.console.Login(w, r, page)
	}
}

// logOut answers LogoutPath.
func (s *Server) logOut(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		say(w, http.StatusMethodNotAllowed, "the method must be POST")
		return
	}
	s.endSession(r)
	http.SetCookie(w, s.cookie(r, ""))
	goTo(w, LoginPath)
}

// endSession ends the session that a request shows, if there is one.
func (s *Server) endSession(r *http.Request) {
	for _, c := range r.CookiesNamed(s.cookieName(r)) {
		s.sessions.finish(c.Value)
	}
}

// cookieName has the port in it: browsers give cookies to every port of a host, and
// there may be several siemrelays on one, or reached through one by SSH.
func (s *Server) cookieName(r *http.Request) string {
	name := "siemrelay"
	if s.certificate != nil {
		name = "__Host-siemrelay" // browsers take it over HTTPS only, from this host only
	}
	if port := portOf(r.Host); port != "" {
		name += "-" + port
	}
	return name
}

// cookie keeps a session until the browser is closed; without a value it takes the one
// away that there is.
func (s *Server) cookie(r *http.Request, token string) *http.Cookie {
	age := 0
	if token == "" {
		age = -1
	}
	return &http.Cookie{ //nolint:gosec // without TLS there is no Secure: the listener is on loopback then
		Name: s.cookieName(r), Value: token, Path: "/", MaxAge: age,
		HttpOnly: true, Secure: s.certificate != nil, SameSite: http.SameSiteStrictMode,
	}
}

// localPath returns next if it is a path of this listener that a person can go to, else
// the start page.
func localPath(next string) string {
	const start = "/"
	for _, c := range []byte(next) {
		if c <= ' ' || c >= 0x7f || c == '\\' { // browsers take \ for /
			return start
		}
	}
	u, err := url.Parse(next)
	if err != nil || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || u.Scheme != "" || u.Host != "" || u.User != nil ||
		kindOf(u.Path) != forPeople {
		return start
	}
	return next
}

// goTo sends a browser to a path of this listener.
func goTo(w http.ResponseWriter, path string) {
	w.Header().Set("Location", path)
	w.WriteHeader(http.StatusSeeOther)
}
