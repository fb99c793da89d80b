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

	"github.com/chromedp/chromedp/kb"

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
		"access": browserAccess, "theme and times": browserThemeAndTimes, "login ended": browserLoginEnded, "pictures": browserPictures,
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
	p := b.Page(t, chromium.Laptop)
	p.Go(serve(t, open(t, f), operator) + "/threats")
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

func browserSearch(t *testing.T, b *chromium.Browser) {
	f := newScene(time.Now)
	p := b.Page(t, chromium.Laptop)
	site := serve(t, open(t, f), operator)
	p.Go(site + "/threats")
	p.Wait(connected)
	chromium.Eval[bool](p, `(window.still = true)`)
	p.Type("#q", "injection")
	p.Wait(titles + `.length > 0 && ` + titles + `.every((t) => t.includes('SQL injection'))`)
	p.Wait(`location.search.includes('q=injection')`)
	chromium.Eval[any](p, `{ const s = document.querySelector('select[name=status]'); s.value = 'closed'; s.dispatchEvent(new Event('change', {bubbles: true})); }`)
	p.Wait(`location.search.includes('status=closed') && document.querySelectorAll('tr.closed').length === document.querySelectorAll('tbody tr').length`)
	if !chromium.Eval[bool](p, `window.still === true`) {
		t.Error("the page was loaded again")
	}
	// A search that can't be meant says so where the table was.
	chromium.Eval[any](p, `{ const q = document.getElementById('q'); q.value = 'risk:enormous'; q.dispatchEvent(new Event('input', {bubbles: true})); }`)
	p.Expect("400")
	p.Wait(`document.querySelector('#list [role=alert]')?.innerText.includes('it must be info')`)
	chromium.Eval[any](p, `{ const q = document.getElementById('q'); q.value = 'nothing has this'; q.dispatchEvent(new Event('input', {bubbles: true})); }`)
	p.Wait(`document.querySelector('#list .empty')?.innerText.includes('Nothing matches')`)

	// A company holds on every page.
	p.Go(site + "/threats")
	chromium.Eval[any](p, `{ const s = document.getElementById('company-choice'); s.value = 'c-7781'; s.dispatchEvent(new Event('change', {bubbles: true})); }`)
	p.Wait(`location.search.includes('company=c-7781') && [...document.querySelectorAll('td.c-company')].every((d) => d.innerText.includes('Fabrikam'))`)
	p.Click(`nav a[href^="/events"]`)
	p.Wait(`location.pathname === '/events' && location.search.includes('company=c-7781')`)

	// Counts lead to what they count.
	p.Go(site + "/")
	p.Click(`#open-` + chromium.Eval[string](p, `[...document.querySelectorAll('.open a')].find((a) => a.innerText.includes('High')).id.slice(5)`))
	p.Wait(`location.pathname === '/threats' && document.querySelector('select[name=risk]').value === 'high' && document.querySelector('select[name=status]').value === 'open'`)
	p.Click(`.pages a:last-child`)
	p.Wait(`document.querySelector('.counted').innerText.startsWith('51–')`)
}

func browserDrawer(t *testing.T, b *chromium.Browser) {
	f := newScene(time.Now)
	p := b.Page(t, chromium.Laptop)
	p.Go(serve(t, open(t, f), operator) + "/threats?risk=critical")
	p.Wait(connected)
	chromium.Eval[any](p, `document.querySelector('tbody tr:nth-child(2) .open-row').focus()`)
	p.Key(kb.Enter)
	p.Wait(`document.getElementById('drawer-title') && location.search.includes('record=')`)
	p.Wait(`document.activeElement.id === 'drawer' && document.querySelector('tr.current')`)
	p.Click("#drawer details summary")
	p.Wait(`document.querySelectorAll('#drawer [role=tab]').length === 3`)
	p.Wait(`document.querySelector('#drawer .outcomes').innerText.includes('kibana')`)
	chromium.Eval[any](p, `document.querySelector('#drawer [role=tab]').focus()`)
	p.Key(kb.ArrowRight)
	p.Wait(`document.activeElement.innerText === 'ECS' && document.querySelector('#drawer [role=tabpanel]:not([hidden])').innerText.includes('@timestamp')`)
	p.Key(kb.Escape)
	p.Wait(`!document.getElementById('drawer').firstElementChild && !location.search.includes('record=') && location.search.includes('risk=critical')`)
	p.Wait(`document.activeElement === document.querySelector('tbody tr:nth-child(2) .open-row')`)

	// The address of a drawer is one that can be kept, and Back closes it.
	p.Click("tbody tr:nth-child(3) .open-row")
	p.Wait(`document.getElementById('drawer-title')`)
	title := p.Text("#drawer-title")
	p.Go(chromium.Eval[string](p, `location.href`))
	p.Wait(fmt.Sprintf(`document.getElementById('drawer-title')?.innerText === %q`, title))
	p.Click("#drawer .close")
	p.Wait(`!document.getElementById('drawer').firstElementChild`)
	chromium.Eval[any](p, `history.back()`)
	p.Wait(`document.getElementById('drawer-title')`)

	// On a phone it covers the page.
	p.Resize(chromium.Phone)
	if got := chromium.Eval[string](p, `(() => { const r = document.getElementById('drawer').getBoundingClientRect(); return r.left + ' ' + r.top + ' ' + r.width; })()`); got != "0 0 390" {
		t.Errorf("on a phone the drawer is at %s", got)
	}
	// What is not there says so beside the table.
	p.Expect("404")
	p.Go(chromium.Eval[string](p, `location.origin`) + "/threats?record=gone")
	p.Wait(`document.querySelector('#drawer [role=alert]').innerText.includes('there is no threat or ticket gone')`)
}

func browserLetters(t *testing.T, b *chromium.Browser) {
	f := newScene(time.Now)
	p := b.Page(t, chromium.Laptop)
	p.Go(serve(t, open(t, f), operator) + "/dead-letters")
	p.Wait(connected)
	// Nothing is ticked.
	p.Expect("400")
	p.Click("#b-drop")
	p.Wait(`document.getElementById('dialog').open && document.getElementById('dialog').innerText.includes('No dead letter is chosen')`)
	p.Key(kb.Escape)
	p.Wait(`!document.getElementById('dialog').open`)

	p.Click(`input[name=id][value="2"]`)
	p.Click("#b-replay")
	p.Wait(`document.getElementById('dialog').open && document.getElementById('dialog').innerText.includes('1 dead letter will be normalised again')`)
	p.Picture("confirm-replay")
	p.Key(kb.Escape) // a question is no answer
	p.Wait(`!document.getElementById('dialog').open`)
	if n := len(f.said("ReplayDeadLetters")); n != 1 || len(f.letters) != 2 {
		t.Errorf("a question did something: %d calls, %d letters", n, len(f.letters))
	}
	p.Click("#b-replay")
	p.Wait(`document.getElementById('dialog').open`)
	p.Click("#dialog button[name=confirm]")
	p.Wait(`document.querySelector('.done')?.innerText.includes('1 dead letter is pending again.')`)
	p.Wait(`document.querySelectorAll('tbody tr').length === 1`)
	// The drawer drops the other.
	p.Click(".open-row")
	p.Wait(`document.getElementById('d-drop')`)
	p.Click("#d-drop")
	p.Wait(`document.getElementById('dialog').innerText.includes('can\'t be had back')`)
	p.Click("#dialog button[name=confirm]")
	p.Wait(`document.querySelector('.empty')?.innerText.includes('No dead letters')`)

	// A rejected body is taken after all.
	p.Go(chromium.Eval[string](p, `location.origin`) + "/rejected")
	p.Click("[data-tick-all]")
	p.Click("#b-accept")
	p.Wait(`document.getElementById('dialog').innerText.includes('Body 2 can\'t be taken')`)
	p.Click("#dialog button[name=confirm]")
	p.Wait(`document.querySelector('h1').innerText === '1 body was accepted, 1 not'`)
}

func browserReplay(t *testing.T, b *chromium.Browser) {
	f := newScene(time.Now)
	p := b.Page(t, chromium.Laptop)
	p.Go(serve(t, open(t, f), operator) + "/outputs")
	p.Wait(connected)
	p.Click("#outputs .button")
	p.Wait(`document.getElementById('dialog').open && document.activeElement.name === 'since'`)
	p.Type("[name=since]", "soon")
	p.Expect("400")
	p.Key(kb.Enter)
	p.Wait(`document.querySelector('#dialog [role=alert]')?.innerText.includes('is not a time') && document.querySelector('[name=since]').value === 'soon'`)
	chromium.Eval[any](p, `document.querySelector('[name=since]').value = '24h'`)
	p.Click("#dialog button.primary")
	p.Wait(`document.querySelector('#dialog button[name=confirm]')?.innerText.startsWith('Replay 1')`)
	p.Click("#dialog button[name=confirm]")
	p.Wait(`document.querySelector('.done')?.innerText.includes('The replay has begun')`)
	if said := f.said("Replay{"); len(said) != 2 || !strings.Contains(said[1], "DryRun:false") {
		t.Errorf("it was asked for %v", said)
	}
}

func browserTestEvent(t *testing.T, b *chromium.Browser) {
	f := newScene(time.Now)
	f.status.Outputs[1].State, f.pending = admin.StateOK, true
	p := b.Page(t, chromium.Laptop)
	p.Go(serve(t, open(t, f), operator) + "/test")
	p.Click("#send")
	p.Wait(`document.getElementById('progress')?.innerText.includes('On its way')`)
	p.Picture("test-event-on-its-way")
	f.mu.Lock()
	f.pending = false
	f.mu.Unlock()
	p.Wait(`document.getElementById('progress').innerText.includes('It went the whole way')`)
	p.Picture("test-event")
	f.said("")
	<-time.After(2500 * time.Millisecond) // the page would have asked twice
	if said := f.said("Event "); len(said) > 0 {
		t.Errorf("at the end it still asks: %v", said)
	}
}

// Hostile text stays text, and stays in its place.
func browserHostile(t *testing.T, b *chromium.Browser) {
	p := b.Page(t, chromium.Laptop)
	for i, text := range hostile {
		f := hostileScene(time.Now, text)
		c := open(t, f)
		s := httptest.NewServer(as(operator, c))
		targets := hostileTargets(f)
		for _, size := range []chromium.Size{chromium.Phone, chromium.Laptop} {
			p.Resize(size)
			for _, target := range []string{targets[0], targets[2], targets[4], targets[5], targets[6]} {
				if len(target) > 4000 {
					continue // no address that a browser would send
				}
				p.Go(s.URL + target)
				if n := chromium.Eval[int](p, `document.querySelectorAll('main script, main iframe, main svg[onload], main img, main style, main a[href^="//"], main a[href^="javascript:"], main a[href^="data:"], main [onerror], main [onmouseover], main [onload]').length`); n > 0 {
					t.Errorf("%.40q became %d elements of %s", text, n, target)
				}
				if wide := chromium.Eval[int](p, "document.documentElement.scrollWidth - document.documentElement.clientWidth"); wide > 0 {
					t.Errorf("%.40q makes %.60s %d px wider than a window of %d: %s", text, target, wide, size.Width, chromium.Eval[string](p, tooWide))
				}
			}
			if i < 2 || strings.HasPrefix(text, "xxx") {
				p.Picture(fmt.Sprintf("hostile-%d-%d", i, size.Width))
			} else if size == chromium.Phone {
				break // a wide window shows no more than the first and the longest do
			}
		}
		p.Go("about:blank") // its stream ends
		c.Close()
		s.Close()
	}
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

// Without scripts everything can be read, searched and done.
func browserNoScripts(t *testing.T, b *chromium.Browser) {
	f := newScene(time.Now)
	p := b.Page(t, chromium.Laptop)
	p.NoScripts(true)
	site := serve(t, open(t, f), operator)
	p.Go(site + "/threats")
	p.Click("tbody tr:first-child .open-row")
	p.Wait(`document.getElementById('drawer-title') && document.querySelector('.timeline time').innerText.endsWith('UTC')`)
	p.Picture("no-scripts")
	p.Click("#drawer details summary")
	p.Click("#drawer details a")
	p.Wait(`location.pathname === '/events' && document.querySelectorAll('#drawer pre').length === 3`)
	p.Go(site + "/threats?q=injection")
	p.Wait(titles + `.every((t) => t.includes('SQL injection'))`)
	p.Go(site + "/dead-letters?letter=2")
	p.Click("#d-replay")
	p.Wait(`document.querySelector('button[name=confirm]')`)
	p.Click("button[name=confirm]")
	p.Wait(`document.querySelector('.done')`)
	p.NoScripts(false)
}

func browserThemeAndTimes(t *testing.T, b *chromium.Browser) {
	f := newScene(func() time.Time { return time.Date(2026, 6, 19, 22, 30, 15, 0, time.UTC) })
	p := b.Page(t, chromium.Laptop)
	p.Go(serve(t, open(t, f), operator) + "/events")
	p.Wait(connected)
	got := chromium.Eval[string](p, `(() => { const t = document.querySelector('tbody time'); return t.title + ' ' + new Date(t.dateTime).toISOString() + ' ' + t.innerText; })()`)
	// Berlin is two hours ahead of UTC in summer, and it is another day there.
	if !strings.HasPrefix(got, "2026-06-19 22:29:35 UTC 2026-06-19T22:29:35.000Z ") || !strings.Contains(got, "20") || !strings.Contains(got, "00:29") {
		t.Errorf("a time in Berlin is shown as %q", got)
	}
	dark := `getComputedStyle(document.documentElement).backgroundColor === 'rgb(15, 20, 25)'`
	p.Prefer("dark")
	p.Wait(dark)
	p.Click("#theme") // light
	p.Wait(`!(` + dark + `) && document.getElementById('theme').textContent === 'Theme: light'`)
	p.Go(chromium.Eval[string](p, `location.href`))
	p.Wait(`!(` + dark + `) && document.getElementById('theme').textContent === 'Theme: light'`)
	p.Click("#theme") // dark
	p.Prefer("light")
	p.Wait(dark)
	p.Click("#theme")
	p.Wait(`!(` + dark + `) && document.getElementById('theme').textContent === 'Theme: system'`)
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
