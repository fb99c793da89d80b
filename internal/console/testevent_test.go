package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/admin"
)

func TestATestEventIsFollowed(t *testing.T) {
	f := newScene(noon)
	f.status.Outputs[1].State = admin.StateOK
	f.pending = true
	c := open(t, f)
	w := ask(c, operator, http.MethodPost, "/test/send", url.Values{"company": {"c-2044"}})
	to := w.Header().Get("Location")
	if w.Code != http.StatusSeeOther || !strings.HasPrefix(to, "/test?") || !strings.Contains(to, "company=c-2044") {
		t.Fatalf("status %d, %q", w.Code, to)
	}
	part := func() string { return get(c, to, "HX-Request", "true", "HX-Target", "progress").Body.String() }
	if body := part(); !strings.Contains(body, "On its way") || !strings.Contains(body, `hx-trigger="load delay:1s"`) || !strings.Contains(body, "Delivered") || !strings.Contains(body, "Pending") {
		t.Errorf("on the way it says %s", body)
	}
	f.pending = false
	if body := part(); !strings.Contains(body, "It went the whole way") || strings.Contains(body, "hx-trigger") {
		t.Errorf("at the end it says %s", body)
	}
}

// The page stops asking, and says what is pending and why.
func TestFollowingATestEventEnds(t *testing.T) {
	at := noon()
	f := newScene(func() time.Time { return at }) // with an output that is down
	c := open(t, f)
	to := ask(c, operator, http.MethodPost, "/test/send", url.Values{}).Header().Get("Location")
	at = at.Add(31 * time.Second)
	body := get(c, to).Body.String()
	for _, want := range []string{"Not at every output yet", "1 output has", "connection refused", "Look again"} {
		if !strings.Contains(body, want) {
			t.Errorf("at the end it lacks %q", want)
		}
	}
	if strings.Contains(body, "hx-trigger=\"load") {
		t.Error("it asks for ever")
	}
	// Nor does an address that was made up.
	for _, address := range []string{"/test?event=x", "/test?event=x&at=99999999999999", "/test?event=x&at=-5"} {
		if body := get(c, address).Body.String(); strings.Contains(body, "hx-trigger=\"load") || !strings.Contains(body, "there is no event x") {
			t.Errorf("%s asks on, or says nothing", address)
		}
	}
}

// An event that the store does not have yet is on its way; without a store at all the
// page says where to look.
func TestATestEventWithoutAStore(t *testing.T) {
	f := newScene(noon)
	c := open(t, f)
	to := ask(c, operator, http.MethodPost, "/test/send", url.Values{}).Header().Get("Location")
	f.events = f.events[:len(f.events)-1]
	if body := get(c, to).Body.String(); !strings.Contains(body, "Accepted, on its way") || !strings.Contains(body, "hx-trigger=\"load") {
		t.Error("an event that is not stored yet is not waited for")
	}
	f.storeErr = admin.Errorf(admin.Unavailable, "there is no local output")
	if body := get(c, to).Body.String(); !strings.Contains(body, "there is no local output") || !strings.Contains(body, "Look at the outputs") || strings.Contains(body, "hx-trigger=\"load") {
		t.Error("without a store it does not say so")
	}
}

func TestADoorThatRefusesIsShown(t *testing.T) {
	f := newScene(noon)
	c := open(t, f)
	for want, result := range map[string]admin.TestResult{
		"The door answered 401":   {URL: "https://127.0.0.1:8443/x", Status: 401, Error: "the password is <wrong>"},
		"The door did not answer": {URL: "https://127.0.0.1:8443/x", Error: "connection refused: is the receiver up?"},
	} {
		f.door = result
		w := ask(c, operator, http.MethodPost, "/test/send", url.Values{})
		if body := w.Body.String(); w.Code != http.StatusOK || !strings.Contains(body, want) || !strings.Contains(body, "https://127.0.0.1:8443/x") || strings.Contains(body, "<wrong>") {
			t.Errorf("status %d without %q", w.Code, want)
		}
	}
}
