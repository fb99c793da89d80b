package console_test

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/testenv/chromium"
)

func browserLetters(t *testing.T, b *chromium.Browser) {
	f := newScene(time.Now)
	site := serve(t, open(t, f), operator) // ends after the page
	p := b.Page(t, chromium.Laptop)
	p.Go(site + "/dead-letters")
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
	site := serve(t, open(t, f), operator) // ends after the page
	p := b.Page(t, chromium.Laptop)
	p.Go(site + "/outputs")
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
	site := serve(t, open(t, f), operator) // ends after the page
	p := b.Page(t, chromium.Laptop)
	p.Go(site + "/test")
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
