package console_test

import (
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/testenv/chromium"
)

// Without scripts everything can be read, searched and done.
func browserNoScripts(t *testing.T, b *chromium.Browser) {
	f := newScene(time.Now)
	site := serve(t, open(t, f), operator)
	p := b.Page(t, chromium.Laptop)
	p.NoScripts(true)
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
	site := serve(t, open(t, f), operator) // ends after the page
	p := b.Page(t, chromium.Laptop)
	p.Go(site + "/events")
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
