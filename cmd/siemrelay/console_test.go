package main_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/endtoend"
	"github.com/siemrelay/siemrelay/internal/receiver/receivertest"
	"github.com/siemrelay/siemrelay/internal/testenv/chromium"
	"github.com/siemrelay/siemrelay/mappings"
)

var pictures = flag.String("console.pictures", "", "the `folder` that pictures of the console are written to; otherwise they are test artifacts")

// TestConsole drives a real browser on the built binary. Whatever the browser complains
// of (a script's error, a violated policy, a dialog) fails it, see package chromium.
func TestConsole(t *testing.T) {
	b := chromium.Open(t, *pictures)
	for name, test := range map[string]func(*testing.T, *chromium.Browser){
		"a webhook appears": consoleNews, "login and roles": consoleLogin, "a test event": consoleTestEvent,
		"a dead letter": consoleLetter, "hostile": consoleHostile,
	} {
		t.Run(name, func(t *testing.T) { test(t, b) })
	}
}

const (
	// listening is true once news come by themselves.
	listening = `document.getElementById('live').dataset.state === 'on'`
	onPage    = `document.getElementById('main').innerText.includes(%q)`
)

// openConsole starts a relay with a local output, which every output may refuse.
func openConsole(t *testing.T, s endtoend.Setup) (*lab, refuser) {
	t.Helper()
	s.Outputs = []endtoend.Output{{Format: "ecs"}, {Format: "cef"}, {Format: "ecs", Name: "local", Type: "local", Settings: "{}"}}
	s, r := refusing(t, s)
	return openLabOf(t, s), r
}

func (d *lab) console() string {
	if d.Console == "" {
		return "http://" + d.Serving().Admin
	}
	return "https://" + d.Serving().Admin
}

// threat is a webhook.
func threat(id, title string) string {
	return fmt.Sprintf(`{"record_type":"Threat","id":%q,"company_id":"acme","trigger_action":"create","title":%q,"risk":"high","state":"detected","type":"User","created_at":"2026-06-19T09:30:00Z"}`, id, title)
}

// From nothing: the page says what to do, and what then arrives is there by itself.
func consoleNews(t *testing.T, b *chromium.Browser) {
	d, _ := openConsole(t, endtoend.Setup{})
	p := b.Page(t, chromium.Laptop)
	p.Go(d.console() + "/")
	p.Wait(listening)
	for _, text := range []string{"https://" + d.Serving().Address + "/webhooks/defense", "defense", d.PasswordFile(0)} {
		p.Wait(fmt.Sprintf(onPage, text))
	}
	p.Picture("real-nothing-yet")
	chromium.Eval[bool](p, `(window.still = true)`)
	d.post(threat("t-1", "Arrives by itself"))
	p.Wait(fmt.Sprintf(onPage, "Arrives by itself"))
	if !chromium.Eval[bool](p, `window.still === true`) {
		t.Error("the page was loaded again")
	}
	for _, sample := range mappings.Samples() {
		d.post(string(sample.Body))
	}
	p.Go(d.console() + "/threats?q=" + url.QueryEscape("backup restore"))
	p.Wait(fmt.Sprintf(onPage, "No tested backup restore"))
	p.Picture("real-threats")
	d.AwaitDrained()

	// A page that listens does not hold the stop, which would then fail.
	p.Wait(listening)
	p.Expect("net::ERR_")
	d.Stop(d.process)
	p.Wait(`document.getElementById('live').dataset.state !== 'on'`)
}

const consoleUsers = `  tls: {cert_file: tls.crt, key_file: tls.key}
  users:
    - {username: ada, password: swordfish-of-ada, role: operator}
    - {username: vic, password: swordfish-of-vic}
`

// logIn fills the form in, which p shows.
func logIn(p *chromium.Page, username, password string) {
	p.Wait(`location.pathname === '/login' && document.querySelector('input[name=password]')`)
	chromium.Eval[string](p, `document.querySelector('input[name=username]').value = ''`)
	p.Type("input[name=username]", username)
	p.Type("input[name=password]", password)
	p.Click("button[type=submit]")
}

// A viewer looks, an operator acts, and nobody gets in without a login.
func consoleLogin(t *testing.T, b *chromium.Browser) {
	d, _ := openConsole(t, endtoend.Setup{Console: consoleUsers})
	d.post(threat("t-1", "Only for who is logged in"))
	p := b.Page(t, chromium.Laptop)
	p.Expect("401")
	p.Go(d.console() + "/threats?sort=severity")
	logIn(p, "vic", "wrong")
	p.Wait(`document.querySelector('main').innerText.includes('The user name or the password is wrong.')`)
	p.Picture("real-login-refused")
	logIn(p, "vic", "swordfish-of-vic")
	p.Wait(`location.pathname + location.search === '/threats?sort=severity'`)
	p.Wait(fmt.Sprintf(onPage, "Only for who is logged in"))
	if got := chromium.Eval[string](p, `document.cookie`); got != "" {
		t.Errorf("scripts see the cookie %q", got)
	}

	p.Go(d.console() + "/test")
	p.Wait(`document.getElementById('send') === null`)
	p.Expect("403")
	if got := chromium.Eval[int](p, `fetch('/test/send', {method: 'POST', headers: {'Content-Type': 'application/x-www-form-urlencoded'}}).then((r) => r.status)`); got != 403 {
		t.Errorf("a viewer sends a test event: status %d", got)
	}
	p.Click(`form[action="/logout"] button`)
	logIn(p, "ada", "swordfish-of-ada")
	p.Wait(`location.pathname === '/'`)
	p.Go(d.console() + "/test")
	p.Click("#send")
	p.Wait(fmt.Sprintf(onPage, "It went the whole way"))
	p.Go("about:blank")
	if log := d.process.Log(); !strings.Contains(log, `"user":"ada"`) || strings.Contains(log, "swordfish-of") {
		t.Errorf("the log does not say who did it, or says too much:\n%s", log)
	}
}

// A test event goes through the door, and its way to each output is seen.
func consoleTestEvent(t *testing.T, b *chromium.Browser) {
	d, r := openConsole(t, endtoend.Setup{})
	r.hold("cef")
	p := b.Page(t, chromium.Phone)
	p.Go(d.console() + "/test")
	p.Click("#send")
	p.Wait(`[...document.querySelectorAll('.outcomes li')].map((li) => li.innerText).filter((t) => /Delivered/.test(t)).length === 2`)
	r.takes("cef")
	p.Wait(fmt.Sprintf(onPage, "It went the whole way"))
	p.Picture("real-test-event")
	p.Go("about:blank")
	for _, o := range d.Outputs[:2] {
		text, err := os.ReadFile(o.Path)
		if err != nil || bytes.Count(text, []byte("\n")) != 1 || !bytes.Contains(text, []byte("Test event of siemrelay")) {
			t.Errorf("output %s has %q, %v", o.Name, text, err)
		}
	}
}

// What an output refused is sent again once the output takes it.
func consoleLetter(t *testing.T, b *chromium.Browser) {
	d, r := openConsole(t, endtoend.Setup{})
	r.refuse("cef", "poison")
	d.post(threat("t-1", "A poison <b>event</b>"))
	p := b.Page(t, chromium.Laptop)
	p.Go(d.console() + "/dead-letters")
	p.Wait(fmt.Sprintf(onPage, "A poison <b>event</b>"))
	p.Wait(fmt.Sprintf(onPage, "mapper_parsing_exception: it contains poison"))
	r.takes("cef")
	p.Click(`input[name=id]`)
	p.Click("#b-replay")
	p.Wait(`document.getElementById('dialog').open && document.getElementById('dialog').innerText.includes('1 dead letter')`)
	p.Click("#dialog button[name=confirm]")
	p.Wait(`document.querySelector('.done')?.innerText.includes('1 dead letter is pending again.')`)
	p.Go("about:blank")
	d.AwaitAccount("cef", endtoend.Account{Entered: 1, Delivered: 1})
}

// consoleHostile shows every accepted delivery of the receiver's corpus and every sample:
// nothing of them runs, breaks a page or leaves it without an answer.
func consoleHostile(t *testing.T, b *chromium.Browser) {
	d, _ := openConsole(t, endtoend.Setup{})
	cases, err := receivertest.Cases()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		if c.Body == nil || !json.Valid([]byte(*c.Body)) {
			continue
		}
		if _, err := d.sender.Post([]byte(*c.Body)); err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
	}
	for _, sample := range mappings.Samples() {
		d.post(string(sample.Body))
	}
	for i, title := range []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</textarea><svg onload=alert(1)>`, `{{.}}{{constructor.constructor('alert(1)')()}}`,
		`<a href="javascript:alert(1)">x</a>`, strings.Repeat("W", 3000), "\u202egnp.exe \u2066 bidi", "'-alert(1)-'", "<style>*{display:none}</style>", "hx-get=/x hx-trigger=load",
	} {
		d.post(threat(fmt.Sprintf("hostile-%d/../%s", i, title[:min(len(title), 40)]), title))
	}
	d.AwaitDrained()

	access, err := admin.ReadAccess(d.SpoolDir)
	if err != nil {
		t.Fatal(err)
	}
	client := admin.NewClient(access)
	events, err := client.Events(t.Context(), admin.EventQuery{Limit: admin.MaxPage})
	if err != nil || len(events.Events) < 40 {
		t.Fatalf("%d events: %v", len(events.Events), err)
	}
	p := b.Page(t, chromium.Laptop)
	visit := func(path string) {
		p.Go(d.console() + path)
		if n := chromium.Eval[int](p, `document.querySelectorAll('main script, main iframe, main style, main svg[onload], main img, main a[href^="javascript:"], main [onerror], main [onload]').length`); n > 0 {
			t.Errorf("%s has %d elements that an event made", path, n)
		}
		if wide := chromium.Eval[int](p, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); wide > 0 {
			t.Errorf("%s is %d px wider than its window", path, wide)
		}
	}
	for _, path := range []string{"/", "/threats", "/tickets", "/events", "/outputs", "/dead-letters", "/rejected"} {
		visit(path)
		p.Picture("real-hostile" + strings.ReplaceAll(path, "/", "-"))
	}
	for i, e := range events.Events {
		address := "/events?event=" + url.QueryEscape(e.ID)
		if i < 15 { // the newest, which are the hostile titles and some samples
			visit(address)
		}
		if e.Kind == "threat" || e.Kind == "ticket" { // of others there is no record
			if i < 15 {
				visit("/threats?record=" + url.QueryEscape(e.Key))
			}
			address = "/threats?record=" + url.QueryEscape(e.Key)
		}
		if got := chromium.Eval[int](p, fmt.Sprintf(`fetch(%q).then((r) => r.text().then(() => r.status))`, address)); got != 200 {
			t.Errorf("%s (%q): status %d", address, e.Title, got)
		}
	}
	p.Go("about:blank")
}
