package console_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/console"
	"github.com/siemrelay/siemrelay/internal/testenv/chromium"
)

var pictures = flag.String("console.screenshots", "", "the `folder` that pictures of the pages are written to; otherwise they are test artifacts")

// as gives every request a caller, as the admin listener does.
func as(who admin.Caller, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(admin.WithCaller(r.Context(), who)))
	})
}

// serve answers on loopback until the test ends.
func serve(t *testing.T, c *console.Console, who admin.Caller) string {
	s := httptest.NewServer(as(who, c))
	t.Cleanup(func() {
		c.Close()
		s.Close()
	})
	return s.URL
}

// tooWide names the elements that stick out of the window.
const tooWide = `[...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('nav')).map((e) => e.tagName + '.' + e.className).slice(0, 8).join(' ')`

const (
	connected = `document.getElementById('live').dataset.state === 'on'`
	titles    = `[...document.querySelectorAll('.open-row')].map((a) => a.innerText)`
)

// row is a condition: the table has a row with this title.
func row(title string) string { return fmt.Sprintf("%s.some((t) => t.includes(%q))", titles, title) }

func TestBrowser(t *testing.T) {
	b := chromium.Open(t, *pictures)
	for name, test := range map[string]func(*testing.T, *chromium.Browser){
		"news": browserNews, "reader": browserReader, "search": browserSearch, "drawer": browserDrawer, "letters": browserLetters,
		"replay": browserReplay, "test event": browserTestEvent, "hostile": browserHostile, "outage": browserOutage, "no scripts": browserNoScripts,
		"access": browserAccess, "theme and times": browserThemeAndTimes, "large numbers": browserLargeNumbers, "login ended": browserLoginEnded, "pictures": browserPictures,
	} {
		t.Run(name, func(t *testing.T) { test(t, b) })
	}
}

// A new event appears by itself, and costs the person neither the drawer, nor what is
// being typed, nor the page.
func browserNews(t *testing.T, b *chromium.Browser) {
	f := newScene(time.Now)
	site := serve(t, open(t, f), operator)
	p := b.Page(t, chromium.Laptop)
	p.Expect("htmx:sendAbort") // who leaves a page ends what it is asking for
	p.Go(site + "/threats?record=" + url.QueryEscape("threat/abc12345-6789-0def/t-9000"))
	p.Wait(connected)
	chromium.Eval[bool](p, `(window.still = true)`)
	p.Type("#q", "half a wor") // and the pause after it has not come
	again := fakeEvent{EventSummary: admin.EventSummary{
		Kind: "threat", Action: "threat-noted", Code: "threat.note", Record: "t-9000", Title: "Many failed logins, then a success", Company: "abc12345-6789-0def", Name: "Northwind Traders",
		Risk: "critical", Severity: 99, State: "assigned", Status: "open", NoteBy: "Nadia", Note: "I look at it.",
	}}
	f.add(again)
	p.Wait(`document.querySelectorAll('.timeline > li').length === 2`)
	p.Wait(`document.querySelector('.timeline').innerText.includes('I look at it.')`)
	if got := chromium.Eval[string](p, `document.getElementById('q').value + (document.activeElement.id)`); got != "half a worq" {
		t.Errorf("what was typed, and where, is now %q", got)
	}
	// What was opened in the timeline stays open.
	p.Click(".timeline > li:last-child summary")
	p.Wait(`document.querySelector('.timeline > li:last-child [role=tab]')`)
	again.Note = "It was the cleaner."
	f.add(again)
	p.Wait(`document.querySelector('.timeline').innerText.includes('It was the cleaner.')`)
	p.Wait(`document.querySelector('.timeline > li:last-child details').open && document.querySelector('.timeline > li:last-child [role=tab]')`)

	p.Go(site + "/threats")
	p.Wait(connected)
	chromium.Eval[bool](p, `(window.still = true)`)
	f.add(fakeEvent{EventSummary: admin.EventSummary{Kind: "threat", Record: "fresh", Title: "Brand new threat", Risk: "high", Severity: 73, State: "detected", Status: "open"}})
	p.Wait(row("Brand new threat"))
	p.Wait(`document.getElementById('announce').innerText === 'One new event'`)
	if !chromium.Eval[bool](p, `window.still === true`) {
		t.Error("the page was loaded again")
	}
	for _, path := range []string{"/events", "/"} {
		p.Go(site + path)
		p.Wait(connected)
		f.add(fakeEvent{EventSummary: admin.EventSummary{Kind: "threat", Record: "fresh", Title: "News for " + path, Risk: "high", Severity: 73, State: "detected", Status: "open"}})
		p.Wait(fmt.Sprintf(`document.getElementById('main').innerText.includes(%q)`, "News for "+path))
	}
	// The status changes without an event, too.
	p.Go(site + "/outputs")
	p.Wait(connected)
	f.mu.Lock()
	f.status.Outputs[1].Error, f.status.Ready = "no route to host", false
	f.mu.Unlock()
	p.Wait(`document.getElementById('outputs').innerText.includes('no route to host')`)
	p.Wait(`document.getElementById('statusbar').innerText.includes('Intake down')`)
}

// A person who has scrolled down is asked before the rows move.
func browserReader(t *testing.T, b *chromium.Browser) {
	f := newScene(time.Now)
	site := serve(t, open(t, f), operator) // ends after the page
	p := b.Page(t, chromium.Laptop)
	p.Go(site + "/threats")
	p.Wait(connected)
	chromium.Eval[any](p, `scrollTo(0, 900)`)
	first := chromium.Eval[string](p, titles+`[0]`)
	f.add(fakeEvent{EventSummary: admin.EventSummary{Kind: "threat", Record: "fresh", Title: "Came while reading", Risk: "high", State: "detected", Status: "open"}})
	p.Wait(`!document.getElementById('pill').hidden`)
	if got := chromium.Eval[string](p, titles+`[0]`); got != first {
		t.Errorf("the rows moved: %q is the first", got)
	}
	if y := chromium.Eval[float64](p, `scrollY`); y < 800 {
		t.Errorf("the page was scrolled to %v", y)
	}
	p.Click("#pill")
	p.Wait(row("Came while reading"))
	p.Wait(`scrollY === 0 && document.getElementById('pill').hidden`)
}

// When the server goes the page says so, and goes on when it is back.
func browserOutage(t *testing.T, b *chromium.Browser) {
	f := newScene(time.Now)
	c := open(t, f)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	start := func(ln net.Listener, c *console.Console) *http.Server {
		s := &http.Server{Handler: as(operator, c)}
		go func() { // until Close
			if err := s.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
				t.Errorf("serve: %v", err)
			}
		}()
		return s
	}
	s := start(ln, c)
	p := b.Page(t, chromium.Laptop)
	p.Expect("ERR_CONNECTION_REFUSED")
	p.Expect("ERR_INCOMPLETE_CHUNKED_ENCODING")
	p.Expect("net::ERR")
	p.Expect("htmx:")
	p.Go("http://" + address + "/threats")
	p.Wait(connected)
	c.Close()
	s.Close()
	p.Wait(`document.getElementById('live').innerText === 'Connection lost, retrying'`)
	// A click meanwhile does not spin for ever.
	p.Click(".open-row")
	p.Wait(`!document.getElementById('notice').hidden && document.getElementById('notice').innerText.includes('be reached') && !document.body.classList.contains('busy')`)
	p.Picture("outage")
	f.add(fakeEvent{EventSummary: admin.EventSummary{Kind: "threat", Record: "meanwhile", Title: "Came during the outage", Risk: "high", State: "detected", Status: "open"}})
	if ln, err = (&net.ListenConfig{}).Listen(context.Background(), "tcp", address); err != nil {
		t.Fatal(err)
	}
	again := open(t, f)
	s = start(ln, again)
	defer s.Close()
	defer again.Close()
	p.Wait(connected)
	p.Wait(row("Came during the outage"))
	p.Wait(`document.getElementById('notice').hidden`)
	p.Go("about:blank")
}

// When the session ends under a page, the person gets the login and not a login inside
// a drawer.
func browserLoginEnded(t *testing.T, b *chromium.Browser) {
	c := open(t, newScene(time.Now))
	ended := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-ended:
			if r.URL.Path != admin.LoginPath && !strings.HasPrefix(r.URL.Path, admin.AssetsPath) {
				http.Redirect(w, r, admin.LoginPath, http.StatusSeeOther)
				return
			}
		default:
		}
		if r.URL.Path == admin.LoginPath {
			admin.Harden(w.Header())
			c.Login(w, r, admin.LoginPage{Status: http.StatusOK, Next: "/threats"})
			return
		}
		as(operator, c).ServeHTTP(w, r)
	}))
	defer s.Close()
	defer c.Close()
	p := b.Page(t, chromium.Laptop)
	p.Go(s.URL + "/threats")
	p.Wait(connected)
	close(ended)
	p.Click(".open-row")
	p.Wait(`location.pathname === '/login' && document.querySelector('input[name=password]') && document.activeElement.name === 'username'`)
	p.Picture("login")
	p.Go("about:blank")
}
