package admin

import (
	"context"
	"net/http"
)

// Paths of the login, which are there when Options.Users are. The listener does
// them itself: GET LoginPath shows Console.Login, POST LoginPath takes a form with
// "username", "password" and "next", POST LogoutPath ends the session.
const (
	LoginPath  = "/login"
	LogoutPath = "/logout"
	// AssetsPath begins the paths of what is the same for everybody (styles,
	// scripts, icons): GET needs no login there.
	AssetsPath = "/assets/"
)

// Role is what a caller may do.
type Role string

// The roles.
const (
	Viewer   Role = "viewer"   // sees everything, changes nothing
	Operator Role = "operator" // sees and changes everything
)

// Caller is who makes a request, as the listener has found out.
type Caller struct {
	// Name is the user's; empty where nobody has logged in: on a listener without
	// users, and for a command that has the token.
	Name string
	Role Role
	// Session is set where a login can be ended: show a button that POSTs to LogoutPath.
	Session bool
}

// Operates tells whether the caller may change anything.
func (c Caller) Operates() bool { return c.Role == Operator }

type callerKey struct{}

// WithCaller returns a context whose CallerOf is c.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf returns who makes the request that ctx is of. Without one it may do
// nothing: its Role is empty.
func CallerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// Console is the pages for people. It gets every request that is for no other path
// of the listener, after the listener has found that the caller may make it: a
// method other than GET and HEAD comes from an operator, and from a page of its own.
// The security headers are set already (see Harden).
//
// A request that accepts only text/event-stream is a stream: it has no deadlines,
// and its context ends as soon as the process stops.
type Console interface {
	http.Handler
	// Login writes the page with the form, with status p.Status.
	Login(w http.ResponseWriter, r *http.Request, p LoginPage)
	// Refuse writes a page that says why a request is refused. Of a request that
	// htmx makes (HX-Request: true) the page is a fragment.
	Refuse(w http.ResponseWriter, r *http.Request, p Refusal)
}

// LoginPage is what the page at LoginPath shows: a form that POSTs "username",
// "password" and the hidden "next" to LoginPath.
type LoginPage struct {
	Status int // of HTTP
	// Next is where the person wanted to go: a path of this listener, with its query.
	Next string
	// Username is what was given the last time, to be shown again.
	Username string
	// Problem is a sentence about why the last try failed, empty if there was none.
	Problem string
}

// Refusal is a request that is not carried out.
type Refusal struct {
	Status int    // of HTTP
	Text   string // a sentence: why, and what to do
}

// Harden sets the headers of every answer of the listener: nothing is loaded from
// elsewhere, no inline script or style runs, no page frames it, nothing is kept in a
// cache. What is kept may set Cache-Control again.
func Harden(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "+
		"img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}
