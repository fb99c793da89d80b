package console_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/internal/admin"
)

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`)

// confirm sends the form of a question as it stands on the page.
func confirm(t *testing.T, h http.Handler, target, page string) *http.Response {
	t.Helper()
	form := url.Values{"confirm": {"yes"}}
	_, page, ok := strings.Cut(page, `<form method="post" action="`+target+`" class="actions">`)
	if !ok {
		t.Fatalf("nothing asks to confirm %s", target)
	}
	page, _, _ = strings.Cut(page, "</form>")
	for _, m := range hidden.FindAllStringSubmatch(page, -1) {
		form.Add(m[1], strings.ReplaceAll(m[2], "&#43;", "+"))
	}
	return ask(h, operator, http.MethodPost, target, form).Result()
}

func TestDeadLettersAreReplayedAfterADryRun(t *testing.T) {
	f := newScene(noon)
	c := open(t, f)
	w := ask(c, operator, http.MethodPost, "/dead-letters/replay", url.Values{"id": {"2"}, "output": {""}})
	if said := f.said("Replay"); len(said) != 1 || !strings.Contains(said[0], "IDs:[2]") || !strings.Contains(said[0], "DryRun:true") {
		t.Fatalf("without a confirmation it was asked for %v", said)
	}
	if !strings.Contains(w.Body.String(), "Replay 1 dead letter") {
		t.Error("the question does not say how many")
	}
	r := confirm(t, c, "/dead-letters/replay", w.Body.String())
	if said := f.said("Replay"); len(said) != 1 || !strings.Contains(said[0], "IDs:[2]") || !strings.Contains(said[0], "DryRun:false") {
		t.Fatalf("with a confirmation it was asked for %v", said)
	}
	if r.StatusCode != http.StatusSeeOther {
		t.Fatalf("the status is %d", r.StatusCode)
	}
	if body := get(c, r.Header.Get("Location")).Body.String(); !strings.Contains(body, "1 dead letter is pending again.") || strings.Contains(body, "immense term") {
		t.Error("the page after it does not tell, or still shows the letter")
	}
}

// What comes between the question and the answer is not meant by it.
func TestAllMeansAllOfTheQuestion(t *testing.T) {
	f := newScene(noon)
	c := open(t, f)
	w := ask(c, operator, http.MethodPost, "/dead-letters/drop", url.Values{"scope": {"all"}})
	if !strings.Contains(w.Body.String(), "Drop 2 dead letters") || !strings.Contains(w.Body.String(), "can&#39;t be had back") {
		t.Fatalf("the question is %s", w.Body)
	}
	f.letters = append(f.letters, letter(3, "x", noon(), "later", "A later one"))
	r := confirm(t, c, "/dead-letters/drop", w.Body.String())
	if r.StatusCode != http.StatusSeeOther || len(f.letters) != 1 || f.letters[0].ID != 3 {
		t.Errorf("status %d; %d letters are left", r.StatusCode, len(f.letters))
	}
}

func TestNothingChosenIsSaid(t *testing.T) {
	f := newScene(noon)
	c := open(t, f)
	for _, target := range []string{"/dead-letters/replay", "/dead-letters/drop", "/rejected/accept"} {
		w := ask(c, operator, http.MethodPost, target, url.Values{}, "HX-Request", "true", "HX-Target", "dialog")
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "is chosen") {
			t.Errorf("%s of nothing: status %d, %s", target, w.Code, w.Body)
		}
	}
}

func TestReplayOfATime(t *testing.T) {
	f := newScene(noon)
	c := open(t, f)
	for _, since := range []string{"", "soon", "-3h"} {
		w := ask(c, operator, http.MethodPost, "/outputs/replay/start", url.Values{"output": {"kibana"}, "since": {since}})
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), `role="alert"`) || !strings.Contains(w.Body.String(), `name="since" value="`+since+`"`) {
			t.Errorf("since %q: status %d, or the form is gone", since, w.Code)
		}
	}
	f.said("")
	w := ask(c, operator, http.MethodPost, "/outputs/replay/start", url.Values{"output": {"kibana"}, "since": {"24h"}, "overwrite": {"yes"}})
	if !strings.Contains(w.Body.String(), "Replay 1\u202f284 events") {
		t.Fatalf("the question is %s", w.Body)
	}
	r := confirm(t, c, "/outputs/replay/start", w.Body.String())
	said := f.said("Replay")
	want := "{Output:kibana Since:2026-06-18 12:00:00 +0000 UTC Until:2026-06-19 12:00:00 +0000 UTC Overwrite:true DryRun:"
	if len(said) != 2 || said[0] != "Replay"+want+"true}" || said[1] != "Replay"+want+"false}" {
		t.Errorf("it was asked for %q", said)
	}
	if body := get(c, r.Header.Get("Location")).Body.String(); !strings.Contains(body, "The replay has begun") {
		t.Error("the page after it does not tell")
	}
}

func TestCancelAndForget(t *testing.T) {
	f := newScene(noon)
	f.status.Outputs = append(f.status.Outputs, admin.OutputStatus{Name: "old", State: admin.StateStopped, Ledger: admin.Ledger{Entered: 40, Pending: 40}})
	c := open(t, f)
	if body := get(c, "/outputs").Body.String(); !strings.Contains(body, "Forget…") || strings.Count(body, "Forget…") != 1 {
		t.Error("what has left the configuration can't be forgotten, or something else can")
	}
	for target, want := range map[string][2]string{
		"/outputs/replay/cancel": {"Drop 12 events", "was canceled: 12 events"},
		"/outputs/forget":        {"Forget it for good", "was forgotten"},
	} {
		w := ask(c, operator, http.MethodPost, target, url.Values{"output": {"old"}})
		if !strings.Contains(w.Body.String(), want[0]) {
			t.Fatalf("%s asks %s", target, w.Body)
		}
		r := confirm(t, c, target, w.Body.String())
		if body := get(c, r.Header.Get("Location")).Body.String(); !strings.Contains(body, want[1]) {
			t.Errorf("%s does not tell what it did", target)
		}
	}
	if said := f.said("Forget"); len(said) != 2 || said[1] != "Forget{Output:old DryRun:false}" {
		t.Errorf("it was asked for %q", said)
	}
}

func TestAcceptTellsEachBody(t *testing.T) {
	f := newScene(noon)
	c := open(t, f)
	form := url.Values{"id": {"1", "2", "7"}}
	w := ask(c, operator, http.MethodPost, "/rejected/accept", form)
	if body := w.Body.String(); !strings.Contains(body, "Accept 1 body") || !strings.Contains(body, "Body 2 can&#39;t be taken") || !strings.Contains(body, "Body 7 can&#39;t be taken") {
		t.Fatalf("the question is %s", body)
	}
	form.Set("confirm", "yes")
	w = ask(c, operator, http.MethodPost, "/rejected/accept", form)
	if body := w.Body.String(); w.Code != http.StatusOK || !strings.Contains(body, "1 body was accepted, 2 not") || !strings.Contains(body, "it is no JSON object still") {
		t.Errorf("the answer is %s", body)
	}
	if len(f.rejected) != 1 {
		t.Errorf("%d bodies are left", len(f.rejected))
	}
}

func TestFormsThatAreTooLarge(t *testing.T) {
	f := newScene(noon)
	w := ask(open(t, f), operator, http.MethodPost, "/dead-letters/drop", url.Values{"id": {strings.Repeat("1", 300<<10)}})
	if w.Code != http.StatusBadRequest || len(f.said("Drop")) > 0 {
		t.Errorf("status %d", w.Code)
	}
}
