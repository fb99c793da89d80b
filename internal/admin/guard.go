package admin

import (
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// guard lets requests through to next that may do what they ask for:
//
//   - The Host is a loopback name or address: a page elsewhere whose name was
//     pointed at this machine ("DNS rebinding") has another.
//   - It comes from no page of another origin.
//   - It has the token, unless it only asks for the status. A wrong token is
//     refused there too, so that a client learns whom it talks to.
func (a *api) guard(next http.Handler) http.Handler {
	origins := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		if !loopback(r.Host) {
			a.refuse(w, r, Errorf(Denied, "the host %q is not this machine: use 127.0.0.1 or localhost", r.Host))
			return
		}
		if err := origins.Check(r); err != nil {
			a.refuse(w, r, Errorf(Denied, "the request comes from another site"))
			return
		}
		authorization := r.Header.Values("Authorization")
		open := r.URL.Path == StatusPath && len(authorization) == 0
		if !open && !a.knows(authorization) {
			h.Set("WWW-Authenticate", `Bearer realm="siemrelay"`)
			writeJSON(w, http.StatusUnauthorized, Errorf(Denied, "the token is missing or wrong: send the content of %s in spool.dir as Authorization: Bearer TOKEN", TokenFile))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// knows tells whether these headers are one that holds the token.
func (a *api) knows(authorization []string) bool {
	if len(authorization) != 1 || a.token == "" {
		return false
	}
	scheme, token, _ := strings.Cut(authorization[0], " ")
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare([]byte(token), []byte(a.token)) == 1
}

// loopback tells whether host, with or without a port, is this machine's own.
func loopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Unmap().IsLoopback()
}
