package console_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/testenv/chromium"
)

// views are the addresses of one page of each kind, by name.
func views(f *fake) map[string]string {
	return map[string]string{
		"overview": "/?window=7d", "threats": "/threats", "threat": "/threats?status=open&record=threat%2Fabc12345-6789-0def%2Ft-0189",
		"tickets": "/tickets", "events": "/events", "event": "/events?event=" + f.events[len(f.events)-1].ID,
		"outputs": "/outputs", "dead-letters": "/dead-letters", "dead-letter": "/dead-letters?letter=2",
		"rejected": "/rejected?body=2", "replay": "/outputs/replay?output=kibana", "test": "/test",
		"nothing-matches": "/threats?q=zzz", "not-found": "/nothing",
	}
}

// browserPictures takes a picture of every view, for a person to look at, and checks
// that none is wider than its window.
func browserPictures(t *testing.T, b *chromium.Browser) {
	f := newScene(time.Now)
	f.add(fakeEvent{EventSummary: admin.EventSummary{Kind: "threat", Record: "odd", Title: "Of a risk with a new word", Risk: "odd", Severity: 47, Status: "open", Company: "c-2044"}})
	site := serve(t, open(t, f), admin.Caller{Name: "morgan", Role: admin.Operator, Session: true})
	empty := serve(t, open(t, newFake(time.Now)), operator)
	addresses := map[string]string{"empty": empty + "/threats", "empty-overview": empty + "/"}
	for name, path := range views(f) {
		addresses[name] = site + path
	}
	for _, size := range []chromium.Size{chromium.Laptop, chromium.Phone} {
		p := b.Page(t, size)
		p.Expect("404")
		for _, scheme := range []string{"light", "dark"} {
			p.Prefer(scheme)
			for name, address := range addresses {
				p.Go(address)
				p.Wait(connected)
				if name == "overview" {
					p.Wait(`document.querySelector('#chart canvas')`)
				}
				p.Picture(fmt.Sprintf("%s-%s-%d", name, scheme, size.Width))
				if wide := chromium.Eval[int](p, "document.documentElement.scrollWidth - document.documentElement.clientWidth"); wide > 0 {
					t.Errorf("%s at %d: the page is %d px wider than the window", name, size.Width, wide)
				}
				if odd := chromium.Eval[string](p, crooked); odd != "" {
					t.Errorf("%s at %d: %s", name, size.Width, odd)
				}
			}
		}
	}
}

// crooked returns the severities that are cut, and the tiles that stand in a row without
// being as high as it.
const crooked = `[
	...[...document.querySelectorAll('.mark.risk')].filter((e) => e.scrollWidth > e.clientWidth).map((e) => e.innerText + ' is cut'),
	...[...document.querySelectorAll('.tiles > *, .outputs-strip > *')].filter((e) => {
		const before = e.previousElementSibling?.getBoundingClientRect(), at = e.getBoundingClientRect();
		return before && before.right < at.left && before.top !== at.top;
	}).map((e) => e.innerText + ' is lower than what stands left of it'),
].join('; ')`

// lookAround returns what is wrong with a page for people who see little, or use no
// mouse: WCAG 2.2 AA as far as a program can tell.
const lookAround = `(() => {
  const wrong = [];
  const say = (what, el) => wrong.push(what + ': ' + el.outerHTML.slice(0, 160));
  const shown = (el) => el.checkVisibility({ visibilityProperty: true }) && el.getClientRects().length > 0;
  const ids = new Set();
  for (const el of document.querySelectorAll('[id]')) { if (ids.has(el.id)) say('an id twice', el); ids.add(el.id); }
  const name = (el) => (el.getAttribute('aria-label') || el.labels?.[0]?.innerText || el.innerText || el.querySelector('img')?.alt || '').trim();
  for (const el of document.querySelectorAll('a[href], button, input:not([type=hidden]), select')) {
    if (!shown(el)) continue;
    if (!name(el)) say('no name', el);
    const r = el.getBoundingClientRect();
    if (matchMedia('(max-width: 600px)').matches && el.matches('button, select, .button') && r.height < 24) say('too small to touch (' + r.height + ')', el);
  }
  for (const el of document.querySelectorAll('img')) if (!el.hasAttribute('alt')) say('no alt', el);
  for (const el of document.querySelectorAll('[aria-labelledby], [aria-describedby], [aria-controls]')) {
    for (const a of ['aria-labelledby', 'aria-describedby', 'aria-controls']) {
      const to = el.getAttribute(a);
      if (to && el.id !== 'dialog' && !document.getElementById(to)) say(a + ' leads nowhere', el);
    }
  }
  const levels = [...document.querySelectorAll('h1, h2, h3, h4')].filter((h) => !h.closest('dialog')).map((h) => Number(h.tagName[1]));
  if (levels.filter((l) => l === 1).length !== 1) wrong.push('not one h1: ' + levels);
  if (!document.documentElement.lang || !document.title || !document.querySelector('main')) wrong.push('no lang, title or main');

  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (c) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1); const d = canvas.getImageData(0, 0, 1, 1).data; return [d[0], d[1], d[2], d[3] / 255]; };
  const lum = (c) => { const p = c.slice(0, 3).map((v) => { v /= 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; }); return .2126 * p[0] + .7152 * p[1] + .0722 * p[2]; };
  const ground = (el) => {
    for (let e = el; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor); if (c[3] > .99) return c; }
    return [255, 255, 255, 1];
  };
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const el = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !shown(el) || el.closest('.unseen, option, canvas, script')) continue;
    const s = getComputedStyle(el);
    const [a, b] = [lum(rgba(s.color)), lum(ground(el))];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    const large = parseFloat(s.fontSize) >= 24 || parseFloat(s.fontSize) >= 18.66 && Number(s.fontWeight) >= 700;
    if (ratio < (large ? 3 : 4.5)) say('contrast ' + ratio.toFixed(2), el);
  }
  return wrong;
})()`

func browserAccess(t *testing.T, b *chromium.Browser) {
	f := newScene(time.Now)
	site := serve(t, open(t, f), operator)
	for _, size := range []chromium.Size{chromium.Laptop, chromium.Phone} {
		p := b.Page(t, size)
		p.Expect("404")
		for _, scheme := range []string{"light", "dark"} {
			p.Prefer(scheme)
			for name, path := range views(f) {
				p.Go(site + path)
				p.Wait(connected)
				if name == "threat" {
					p.Click("#drawer details summary")
					p.Wait(`document.querySelectorAll('#drawer [role=tab]').length === 3`)
				}
				for _, wrong := range chromium.Eval[[]string](p, lookAround) {
					t.Errorf("%s, %s, %d: %s", name, scheme, size.Width, wrong)
				}
			}
		}
	}
	// The first stop of the keyboard leads past the menu, and every stop can be seen.
	p := b.Page(t, chromium.Laptop)
	p.Go(site + "/threats?record=threat%2Fabc12345-6789-0def%2Ft-0189")
	p.Wait(connected)
	chromium.Eval[any](p, `document.activeElement.blur()`)
	p.Go(site + "/threats")
	p.Wait(connected)
	p.Key(kb.Tab)
	p.Wait(`document.activeElement.className === 'skip' && document.activeElement.getBoundingClientRect().top >= 0`)
	p.Key(kb.Enter)
	p.Wait(`document.activeElement.id === 'main' || location.hash === '#main'`)
	seen := map[string]bool{}
	for range 14 {
		p.Key(kb.Tab)
		at := chromium.Eval[string](p, `(() => { const e = document.activeElement; const row = e.closest('tr'); const s = getComputedStyle(row && e.matches('.open-row') ? row : e); return (e.id || e.name || e.innerText || e.tagName) + (s.outlineStyle === 'none' ? ' INVISIBLE' : ''); })()`)
		if seen[at] {
			break
		}
		seen[at] = true
		if len(at) > 10 && at[len(at)-10:] == " INVISIBLE" {
			t.Errorf("the focus can't be seen on %s", at)
		}
	}
	if !seen["q"] || !seen["risk"] || !seen["status"] || !seen["sort"] {
		t.Errorf("the keyboard came to %v", seen)
	}
}
