package console_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/admin"
)

// hostile are texts that somebody may put into a title to see what happens.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `</title><svg onload=alert(1)>`, `javascript:alert(1)`,
	`{{.Caller}} ${7*7} <%= 1 %>`, `--></textarea></pre></code><iframe srcdoc="<script>alert(1)</script>">`, "\u202egnp.exe\u2066", "a\x00b\x1b[31m\x07\r\nSet-Cookie: x",
	strings.Repeat("x", 1500), strings.Repeat("é\u0301\u0302\u0303", 180), "\xff\xfe<\xc0", `<a href="//evil.example" hx-get="/x" hx-on:click="alert(1)">x</a>`,
	"`onload=alert(1)", `&lt;script&gt;`, `\"\'\u003cscript\u003e`, "<!--", "]]>", "data:text/html,<script>alert(1)</script>",
}

// hostileScene has text everywhere that is foreign.
func hostileScene(now func() time.Time, text string) *fake {
	f := newFake(now)
	long := text
	f.add(fakeEvent{EventSummary: admin.EventSummary{
		Kind: "threat", Action: text, Code: text, Key: "threat/" + text, Record: text, Title: long, Company: text, Name: text, Risk: "high", Severity: 73,
		State: text, Status: "open", Source: text, NoteBy: text, Note: text, Tags: []string{text},
	}, Description: long, Reference: text, Priority: text, Link: "https://my.defense.com/x", Raw: text})
	f.letters = []admin.LetterDetail{letter(1, text, now(), text, text)}
	f.letters[0].Output, f.letters[0].Reason, f.letters[0].Kind, f.letters[0].Record, f.letters[0].Company = text, text, text, text, text
	f.letters[0].Body, f.letters[0].Now.Record = admin.NewBody([]byte(text)), admin.NewBody([]byte(text))
	f.rejected = []admin.RejectedDetail{{Rejected: admin.Rejected{ID: 1, At: now(), Address: text, Reason: text}, Body: admin.NewBody([]byte(text))}}
	o := output(text, text, admin.Ledger{Entered: 1, Pending: 1}, now())
	o.Format, o.State, o.Reason, o.Error, o.OldestPending = text, admin.StateRetrying, text, text, now().Add(-time.Hour)
	f.status.Outputs = []admin.OutputStatus{o}
	f.status.NotReady, f.status.Problems, f.status.Version = text, []string{text}, text
	return f
}

var (
	element   = regexp.MustCompile(`<(/?[a-zA-Z!][a-zA-Z0-9-]*)((?:\s+[a-zA-Z][a-zA-Z0-9:-]*(?:="[^"]*"|='[^']*')?)*)\s*/?>`)
	attribute = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9:-]*)(?:="[^"]*"|='[^']*')?`)
	opening   = regexp.MustCompile(`<[a-zA-Z/!?]`)
)

// skeleton is a page without any text and values: its elements and the names of their
// attributes.
func skeleton(t *testing.T, page string) []string {
	t.Helper()
	found := element.FindAllStringSubmatch(page, -1)
	if n := len(opening.FindAllString(page, -1)); n != len(found) {
		t.Errorf("%d of %d elements can be read", len(found), n)
	}
	var all []string
	for _, e := range found {
		all = append(all, e[1])
		for _, a := range attribute.FindAllStringSubmatch(e[2], -1) {
			all = append(all, e[1]+" "+a[1])
		}
	}
	return all
}

func hostileTargets(f *fake) []string {
	return []string{
		"/", "/threats", "/threats?record=" + url.QueryEscape(f.events[0].Key), "/events", "/events?event=" + f.events[0].ID, "/outputs",
		"/dead-letters?letter=1", "/rejected?body=1",
	}
}

// Foreign text changes no element and no attribute of any page.
func TestHostileTextStaysText(t *testing.T) {
	plain := hostileScene(noon, "harmless")
	still := map[string][]string{}
	for i, target := range hostileTargets(plain) {
		still[string(rune('a'+i))] = skeleton(t, get(open(t, plain), target).Body.String())
	}
	for _, text := range hostile {
		f := hostileScene(noon, text)
		c := open(t, f)
		for i, target := range hostileTargets(f) {
			w := get(c, target)
			if got := skeleton(t, w.Body.String()); !slices.Equal(got, still[string(rune('a'+i))]) {
				t.Errorf("%.40q changes the elements of %s (status %d)", text, target, w.Code)
			}
			if n := w.Body.Len(); n > 2<<20 {
				t.Errorf("%.40q makes %s %d bytes large", text, target, n)
			}
		}
	}
}

// What the person who looks puts into the address comes back as text too.
func TestHostileAddresses(t *testing.T) {
	c := open(t, newScene(noon))
	for _, text := range hostile {
		q := url.QueryEscape(text)
		for _, target := range []string{
			"/threats?q=" + q, "/threats?company=" + q, "/threats?risk=" + q, "/threats?record=" + q, "/threats?sort=" + q, "/threats?cursor=" + q, "/events?event=" + q, "/events?q=" + q,
			"/dead-letters?output=" + q + "&since=" + q, "/dead-letters?letter=" + q, "/rejected?after=" + q, "/test?event=" + q + "&at=" + q, "/outputs/replay?output=" + q + "&since=" + q,
			"/?done=" + q + "&n=" + q, "/?window=" + q, "/severity.json?company=" + q, "/" + url.PathEscape(strings.Trim(text, "/.")),
		} {
			w := get(c, target)
			for _, bad := range []string{"<script>alert", "<img src=x", "<svg onload", "<iframe", `<a href="//evil`, " onmouseover='"} {
				if strings.Contains(w.Body.String(), bad) {
					t.Errorf("%s has %q in it", target, bad)
				}
			}
			if w.Code >= http.StatusInternalServerError {
				t.Errorf("%s: status %d", target, w.Code)
			}
		}
	}
}

// More text than a body may have costs a page no more than what it shows of it.
func TestHugeText(t *testing.T) {
	f := hostileScene(noon, strings.Repeat("A<b>\u202e", 1<<18))
	// These are of the configuration, and short.
	f.status.Outputs[0].Name, f.letters[0].Output, f.letters[0].Reason = "kibana", "kibana", "refused"
	c := open(t, f)
	for _, target := range append(hostileTargets(f)[:2], hostileTargets(f)[3:]...) {
		if n := get(c, target).Body.Len(); n > 2<<20 {
			t.Errorf("%s is %d bytes large", target, n)
		}
	}
}

// Every foreign text goes through a function that cleans it: no template prints one as
// it is.
func TestTemplatesCleanWhatTheyShow(t *testing.T) {
	raw := regexp.MustCompile(`\{\{\.(Title|Error|Company|Name|Record|Note|NoteBy|Source|State|Description|Reference|Address|Reason|Output|Action|Code|Priority|Kind|ID|NotReady|Version|Problem|StatusErr|Text)\}\}`)
	paths, err := filepath.Glob("templates/*.html")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range raw.FindAllStringIndex(string(b), -1) {
			if before := string(b)[:at[0]]; strings.HasSuffix(before, `="`) {
				continue // an attribute's value, which is sent back as it came
			}
			around := string(b)[max(0, at[0]-30):min(len(b), at[1]+10)]
			if !slices.ContainsFunc([]string{
				"<title>{{.Title}}", "data-ago>{{.Text}}", "<h1 id=\"page-title\">", `<h1>{{.Title}}`, `<caption class="unseen">{{.Title}}`, `<bdi>{{.Title}}</bdi>`, `id="dialog-title">{{.Title}}`, // titles of ours
				"No {{.Kind}} matches", "Dead letter {{.", "Body {{.ID}}", "body {{.ID}}", "letter {{.ID}}", "letter-{{.ID}}", "rejected-{{.ID}}", `id="e-{{`, `id="l-{{`, `id="step-{{`, `id="event-{{`, "<pre tabindex", // ids and cleaned bodies
			}, func(ok string) bool { return strings.Contains(around, ok) }) {
				t.Errorf("%s shows a text as it came: …%s…", path, around)
			}
		}
	}
}
