package console_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/siemrelay/siemrelay/internal/testenv/chromium"
)

func browserSearch(t *testing.T, b *chromium.Browser) {
	f := newScene(time.Now)
	site := serve(t, open(t, f), operator)
	p := b.Page(t, chromium.Laptop)
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
	site := serve(t, open(t, f), operator) // ends after the page
	p := b.Page(t, chromium.Laptop)
	p.Go(site + "/threats?risk=critical")
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
