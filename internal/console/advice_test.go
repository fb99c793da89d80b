package console_test

import (
	"html"
	"net/url"
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/internal/admin"
)

// What a person should see to leads to the page where it is done, not to a command.
func TestProblemsLeadToTheirPage(t *testing.T) {
	f := newScene(noon)
	f.status.Problems = []string{
		"Output kibana has 2 dead letters: siemrelay deadletters list --output kibana",
		"Output old has left the configuration; 3 pending events and 1 dead letter are kept for it. Put it back, or give them up: siemrelay outputs forget old",
		"The disk is <full>.",
	}
	body := get(open(t, f), "/").Body.String()
	for _, want := range []string{
		`<bdi>Output kibana has 2 dead letters.</bdi> <a href="/dead-letters?output=kibana">Look at them</a>`,
		`or give them up.</bdi> <a href="/outputs#x`, `<bdi>The disk is &lt;full&gt;.</bdi></li>`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the overview lacks %s", want)
		}
	}
	if strings.Contains(body, "siemrelay deadletters") || strings.Contains(body, "siemrelay outputs") {
		t.Error("the overview sends to a shell")
	}
}

// Who types the beginning of a word is told how that is searched for.
func TestNothingMatchesTellsOfBeginnings(t *testing.T) {
	c := open(t, newScene(noon))
	for query, want := range map[string]string{
		"risk:high nosuchwor":  "risk:high nosuchwor*",
		`"no such" wor`:        `"no such" wor*`,
		"nosuchwor*":           "",
		"nosuch -wor":          "",
		"nosuch risk:critical": "",
		`"no such words"`:      "",
		"nosuch 🙂":             "",
	} {
		for _, path := range []string{"/threats", "/events"} {
			body := html.UnescapeString(get(c, path+"?company=c-2044&q="+url.QueryEscape(query)).Body.String())
			if !strings.Contains(body, "Nothing matches") {
				t.Fatalf("%s: %q matches something", path, query)
			}
			link := path + "?" + url.Values{"company": {"c-2044"}, "q": {want}}.Encode()
			if got := strings.Contains(body, "Words are whole words"); got != (want != "") {
				t.Errorf("%s: after %q it tells of beginnings: %v", path, query, got)
			} else if got && !strings.Contains(body, link) {
				t.Errorf("%s: %q is not led to %s", path, query, link)
			}
		}
	}
}

// Dead letters and the reasons of the door are named as people name them.
func TestRefusedThingsHaveNames(t *testing.T) {
	f := newScene(noon)
	f.add(fakeEvent{EventSummary: admin.EventSummary{Kind: "threat", Record: "n-1", Title: "x", Status: "open", Company: "c-7", Name: "Seven <Sons>"}})
	f.letters[0].Company = "c-7"
	for i, reason := range []string{"json", "trailing_bytes", "of_tomorrow"} {
		f.rejected = append(f.rejected, admin.RejectedDetail{Rejected: admin.Rejected{ID: int64(900 + i), At: noon(), Reason: reason}})
	}
	c := open(t, f)
	body := get(c, "/rejected").Body.String()
	for _, want := range []string{"Not valid JSON in UTF-8", "Something after the JSON object", "of tomorrow"} {
		if !strings.Contains(body, "<bdi>"+want+"</bdi>") {
			t.Errorf("no body was rejected because of %q", want)
		}
	}
	for _, address := range []string{"/dead-letters", "/dead-letters?letter=1"} {
		if body := get(c, address).Body.String(); !strings.Contains(body, "<bdi>Seven &lt;Sons&gt;</bdi>") || strings.Contains(body, "<bdi>c-7</bdi>") {
			t.Errorf("%s does not name the company", address)
		}
	}
}
