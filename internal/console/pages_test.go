package console_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/console"
)

// pages are addresses that everybody may read.
var pages = []string{
	"/", "/?window=30d&company=c-2044", "/threats", "/threats?q=login&risk=high&status=open&sort=severity", "/tickets", "/events", "/outputs",
	"/dead-letters", "/dead-letters?letter=1", "/rejected", "/rejected?body=1", "/test",
}

// forms are what changes something.
var forms = []string{
	"/outputs/replay/start", "/outputs/replay/cancel", "/outputs/forget", "/dead-letters/replay", "/dead-letters/drop", "/rejected/accept", "/test/send",
}

func TestWhatIsNotThere(t *testing.T) {
	c := open(t, newScene(noon))
	for target, want := range map[string]int{
		"/nothing": 404, "/threats/": 404, "/threats?record=nothing": 404, "/tickets?record=%00": 404, "/events?event=nothing": 404,
		"/dead-letters?letter=99": 404, "/dead-letters?letter=x": 404, "/dead-letters?letter=-1": 404, "/rejected?body=99": 404,
		"/events/body?id=nothing&form=raw": 404, "/dead-letters/body?id=99": 404, "/rejected/body?id=x": 404, "/assets/../console.go": 404,
		"/threats?risk=nothing": 400, "/threats?status=x": 400, "/threats?sort=x": 400, "/threats?q=risk:x": 400, "/threats?cursor=x": 400,
		"/events?cursor=x": 400, "/dead-letters?since=yesterday": 400, "/dead-letters?kind=x": 400,
	} {
		w := get(c, target)
		if strings.HasPrefix(target, "/assets/") && w.Code == http.StatusTemporaryRedirect {
			continue // the path was made clean
		}
		if w.Code != want {
			t.Errorf("%s: status %d, not %d", target, w.Code, want)
		}
		if want == 404 && strings.HasPrefix(target, "/assets") {
			continue
		}
		if !strings.Contains(w.Body.String(), `role="alert"`) || !strings.Contains(w.Body.String(), "<nav") {
			t.Errorf("%s has no message, or no way on", target)
		}
	}
}

func TestWhatBreaksIsSaid(t *testing.T) {
	f := newScene(noon)
	c := open(t, f)
	targets := append(slices.Clone(pages), "/threats?record=x", "/events?event=x", "/outputs/replay?output=kibana")
	for name, err := range map[string]error{
		"there is no local output": admin.Errorf(admin.Unavailable, "there is no local output: add one"),
		"the disk is on fire":      errors.New("the disk is on fire"),
	} {
		f.storeErr = err
		for _, target := range append(slices.Clone(targets), "/severity.json") {
			w := get(c, target)
			local := target == "/" || strings.HasPrefix(target, "/?") || strings.HasPrefix(target, "/threats") || strings.HasPrefix(target, "/tickets") || strings.HasPrefix(target, "/events") || target == "/severity.json"
			if got := strings.Contains(w.Body.String(), name); got != local {
				t.Errorf("%s without a store: says %q: %v", target, name, got)
			}
			if !local && w.Code != http.StatusOK {
				t.Errorf("%s without a store: status %d", target, w.Code)
			}
		}
		f.err = err
		for _, target := range targets {
			if w := get(c, target); !strings.Contains(w.Body.String(), name) {
				t.Errorf("%s says nothing of an error, with status %d", target, w.Code)
			}
		}
		for _, target := range forms {
			w := ask(c, operator, http.MethodPost, target, url.Values{"output": {"kibana"}, "id": {"1"}, "since": {"1h"}})
			if w.Code < 500 || !strings.Contains(w.Body.String(), name) {
				t.Errorf("%s: status %d, or it says nothing", target, w.Code)
			}
		}
		f.storeErr, f.err = nil, nil
	}
}

// A store that does not answer costs a page its data, not the person the evening.
func TestNoPageWaitsForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newScene(noon)
		c := open(t, f)
		defer c.Close()
		f.wait = true
		for _, target := range []string{"/", "/threats", "/events", "/outputs", "/dead-letters", "/rejected"} {
			began := time.Now()
			w := get(c, target)
			if took := time.Since(began); took > 15*time.Second {
				t.Errorf("%s took %v", target, took)
			}
			if !strings.Contains(w.Body.String(), "took too long") {
				t.Errorf("%s does not say that it took too long: status %d", target, w.Code)
			}
		}
	})
}

func TestDownloads(t *testing.T) {
	f := newScene(noon)
	id := f.add(fakeEvent{EventSummary: admin.EventSummary{Kind: "threat", Record: "x"}, Raw: "<script>alert(1)</script>\xff\x00"})
	c := open(t, f)
	for target, want := range map[string]string{
		"/events/body?form=raw&id=" + id:   "<script>alert(1)</script>\xff\x00",
		"/dead-letters/body?id=2&form=raw": string(f.letters[1].Body.Bytes()),
		"/dead-letters/body?id=2&form=now": string(f.letters[1].Now.Record.Bytes()),
		"/rejected/body?id=2":              "[\"hello\"]\xff\n",
	} {
		w := get(c, target)
		h := w.Header()
		if w.Code != http.StatusOK || w.Body.String() != want {
			t.Errorf("%s: status %d, %q", target, w.Code, w.Body)
		}
		if h.Get("Content-Type") != "text/plain; charset=utf-8" || !strings.HasPrefix(h.Get("Content-Disposition"), `attachment; filename="siemrelay-`) || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: the headers are %v", target, h)
		}
	}
	if w := get(c, "/events/body?form=exe&id="+id); w.Code != http.StatusBadRequest {
		t.Errorf("an unknown form: status %d", w.Code)
	}
}

func TestFragments(t *testing.T) {
	f := newScene(noon)
	c := open(t, f)
	for target, part := range map[string]string{
		"/threats": "list", "/threats?record=" + url.QueryEscape(f.events[0].Key): "drawer", "/": "overview", "/outputs": "outputs",
		"/events/detail?id=" + f.events[0].ID: "step", "/status": "statusbar", "/outputs/replay?output=kibana": "dialog", "/nothing": "dialog",
	} {
		w := get(c, target, "HX-Request", "true", "HX-Target", part)
		if body := w.Body.String(); strings.Contains(body, "<html") || len(body) == 0 {
			t.Errorf("%s for %s is no part of a page: %.80q", target, part, body)
		}
		if w := get(c, target, "HX-Request", "true", "HX-Target", part, "HX-History-Restore-Request", "true"); w.Code == http.StatusOK && !strings.Contains(w.Body.String(), "<html") {
			t.Errorf("%s is no whole page when the history is restored", target)
		}
	}
	// The drawer alone does not ask for the table.
	f.said("")
	get(c, "/threats?record="+url.QueryEscape(f.events[0].Key), "HX-Request", "true", "HX-Target", "drawer")
	if said := f.said("Records"); len(said) > 0 {
		t.Errorf("the drawer asked for %v", said)
	}
}

func TestLinks(t *testing.T) {
	f := newScene(noon)
	key := f.events[len(f.events)-1].Key
	body := get(open(t, f), "/threats?record="+url.QueryEscape(key)).Body.String()
	if !strings.Contains(body, `<a href="https://my.defense.com/threats/9000" target="_blank" rel="noreferrer noopener">`) {
		t.Error("the link to Defense.com is not there, or not safe")
	}
}

func TestCompanyStaysOnEveryPage(t *testing.T) {
	f := newScene(noon)
	c := open(t, f)
	for _, target := range []string{"/", "/threats", "/tickets", "/events"} {
		f.said("")
		body := get(c, target+"?company=c-7781").Body.String()
		if strings.Contains(body, "Northwind Traders</bdi>") {
			t.Errorf("%s shows another company", target)
		}
		if !strings.Contains(body, `href="/dead-letters?company=c-7781"`) || !strings.Contains(body, `<option value="c-7781" selected>Fabrikam Foundry`) {
			t.Errorf("%s forgets the company", target)
		}
	}
	get(c, "/dead-letters?company=c-7781")
	if said := f.said("DeadLetters"); len(said) != 1 || !strings.Contains(said[0], "Company:c-7781") {
		t.Errorf("the dead letters were asked for by %v", said)
	}
	if body := get(c, "/threats?company=unheard-of").Body.String(); !strings.Contains(body, `<option value="unheard-of" selected>`) {
		t.Error("a company without events is not in the menu while it is chosen")
	}
}

// Events without a company are under all companies: the menu has no entry for them.
func TestEventsWithoutACompany(t *testing.T) {
	f := newScene(noon)
	f.add(fakeEvent{EventSummary: admin.EventSummary{Kind: "threat", Record: "alone", Title: "Of nobody", Status: "open"}})
	if body := get(open(t, f), "/threats").Body.String(); strings.Count(body, `<option value="">All companies`) != 1 || strings.Contains(body, `<option value="" selected>`) || !strings.Contains(body, "Of nobody") {
		t.Error("the menu has a company without a name")
	}
}

func TestLoginAndRefusal(t *testing.T) {
	c := open(t, newScene(noon))
	r := httptest.NewRequest(http.MethodGet, "/login", http.NoBody)
	w := httptest.NewRecorder()
	var page admin.Console = c
	page.Login(w, r, admin.LoginPage{Status: http.StatusUnauthorized, Next: `/threats?q="><x>`, Username: "<b>eve", Problem: "The password is wrong."})
	body := w.Body.String()
	if w.Code != http.StatusUnauthorized || !strings.Contains(body, "The password is wrong.") || !strings.Contains(body, `value="/threats?q=&#34;&gt;&lt;x&gt;"`) || !strings.Contains(body, `value="&lt;b&gt;eve"`) {
		t.Errorf("the login page has status %d and is %s", w.Code, body)
	}
	for _, secret := range []string{"connection refused", "Northwind", "<nav"} {
		if strings.Contains(body, secret) {
			t.Errorf("the login page tells %q", secret)
		}
	}
	w = httptest.NewRecorder()
	page.Refuse(w, r, admin.Refusal{Status: http.StatusForbidden, Text: "The host <x> is not known."})
	if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "The host &lt;x&gt; is not known.") || strings.Contains(w.Body.String(), "Northwind") {
		t.Errorf("a refusal has status %d and is %s", w.Code, w.Body)
	}
	r.Header.Set("HX-Request", "true")
	w = httptest.NewRecorder()
	page.Refuse(w, r, admin.Refusal{Status: http.StatusForbidden, Text: "no"})
	if strings.Contains(w.Body.String(), "<html") {
		t.Error("a refusal of a part is a whole page")
	}
}

func TestOptionsAreNeeded(t *testing.T) {
	if _, err := console.New(console.Options{}); err == nil {
		t.Error("a console of nothing was made")
	}
}

// A word for a risk that nobody knows yet is counted, and leads to what it counts.
func TestUnknownRisk(t *testing.T) {
	f := newScene(noon)
	f.add(fakeEvent{EventSummary: admin.EventSummary{Kind: "threat", Record: "odd", Title: "Of an odd risk", Risk: "odd", Severity: 47, Status: "open", Company: "c-2044"}})
	c := open(t, f)
	if body := get(c, "/threats").Body.String(); !strings.Contains(body, `<span class="mark risk unknown">`) {
		t.Error("an unknown risk is not shown as one")
	}
	body := get(c, "/threats?risk=unknown&status=open").Body.String()
	if !strings.Contains(body, "Of an odd risk") || !strings.Contains(body, "1–1 of 1<") {
		t.Error("the filter for unknown risks finds something else")
	}
}
