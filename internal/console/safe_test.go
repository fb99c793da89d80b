package console_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/internal/admin"
)

func TestThePolicyIsOnEveryAnswer(t *testing.T) {
	f := newScene(noon)
	c := open(t, f)
	event := f.events[0].ID
	for _, target := range append(slices.Clone(pages), "/nothing", "/threats?record=nothing", "/severity.json", "/events/body?form=raw&id="+event, "/assets/nothing.js") {
		h := get(c, target).Header()
		policy := h.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: the policy %q lacks %q", target, policy, want)
			}
		}
		if strings.Contains(policy, "unsafe") || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: the headers are %v", target, h)
		}
	}
}

func TestNoPageHasInlineScriptOrStyle(t *testing.T) {
	f := newScene(noon)
	c := open(t, f)
	for _, target := range append(slices.Clone(pages), "/events?event="+f.events[0].ID, "/threats?record="+url.QueryEscape(f.events[0].Key), "/outputs/replay?output=kibana", "/nothing") {
		body := get(c, target).Body.String()
		for _, bad := range []string{" style=", "<style", " onclick=", " onload=", "javascript:", "hx-on", "//unpkg", "http://"} {
			if strings.Contains(body, bad) {
				t.Errorf("%s has %q", target, bad)
			}
		}
		for script := range strings.SplitSeq(body, "<script") {
			if strings.HasPrefix(script, " ") && !strings.HasPrefix(script, ` src="/assets/`) {
				t.Errorf("%s has a script of its own: %.60q", target, script)
			}
		}
	}
}

func TestAViewerChangesNothing(t *testing.T) {
	f := newScene(noon)
	c := open(t, f)
	for _, who := range []admin.Caller{viewer, {}} {
		for _, target := range forms {
			if w := ask(c, who, http.MethodPost, target, url.Values{"output": {"kibana"}, "id": {"1"}, "since": {"1h"}, "confirm": {"yes"}}); w.Code != http.StatusForbidden {
				t.Errorf("%s as %q: status %d", target, who.Role, w.Code)
			}
		}
		if w := ask(c, who, http.MethodGet, "/outputs/replay?output=kibana", nil); w.Code != http.StatusForbidden {
			t.Errorf("the form of a replay as %q: status %d", who.Role, w.Code)
		}
		for _, target := range pages {
			w := ask(c, who, http.MethodGet, target, nil)
			if w.Code != http.StatusOK {
				t.Errorf("%s as %q: status %d", target, who.Role, w.Code)
			}
			for _, form := range forms {
				if strings.Contains(w.Body.String(), `formaction="`+form) || strings.Contains(w.Body.String(), `<button type="submit" id="b-`) {
					t.Errorf("%s offers %q %s", target, who.Role, form)
				}
			}
		}
	}
	for _, call := range []string{"Replay", "Drop", "Cancel", "Forget", "Accept", "SendTest"} {
		if said := f.said(call); len(said) > 0 {
			t.Errorf("a viewer did %v", said)
		}
	}
}

func TestMethods(t *testing.T) {
	c := open(t, newScene(noon))
	for _, target := range forms {
		if w := get(c, target); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "POST" {
			t.Errorf("GET %s: status %d, Allow %q", target, w.Code, w.Header().Get("Allow"))
		}
	}
	for _, target := range pages {
		if w := ask(c, operator, http.MethodPost, target, url.Values{}); w.Code != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: status %d", target, w.Code)
		}
		if w := ask(c, operator, http.MethodHead, target, nil); w.Code != http.StatusOK {
			t.Errorf("HEAD %s: status %d", target, w.Code)
		}
	}
}
