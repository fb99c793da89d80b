package normalize_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/siemrelay/siemrelay/normalize"
)

// checkIdentity holds the identity of any body to its event: the keys are the same
// text, or there is no record id and no key.
func checkIdentity(tb testing.TB, m *normalize.Mapping, body []byte) {
	tb.Helper()
	var e, scratch normalize.Event
	m.Event(&e, rawOf(body))
	m.Identify(&scratch, []byte(`{"record_type":"Threat","id":"another","company_id":["x"],"trigger_action":"create"}`))
	id := m.Identify(&scratch, body)
	want := e.Key
	if e.RecordID == "" {
		want = ""
	}
	if id.Key != want {
		tb.Errorf("key %q, the event has %q, of %q", id.Key, want, body)
	}
	if id.Company != e.Company {
		tb.Errorf("company %q, the event has %q, of %q", id.Company, e.Company, body)
	}
	if object := readObject(body); object != nil {
		if known := m.IdentifyObject(&scratch, body); known != m.Identify(new(normalize.Event), body) {
			tb.Errorf("identity of a known object %+v, want %+v, of %q", known, id, body)
		}
		trigger, _ := object["trigger_action"].(string)
		note, _ := object["note_created_at"].(string)
		unique := strings.ToLower(strings.TrimSpace(trigger)) == "create" || strings.TrimSpace(note) != ""
		if id.Unique != unique {
			tb.Errorf("unique is %t of %q", id.Unique, body)
		}
	} else if id.Unique {
		tb.Errorf("unique, and no object: %q", body)
	}
}

func TestIdentityIsTheEvents(t *testing.T) {
	m := builtin(t)
	for name, body := range goldenBodies(t) {
		t.Run(name, func(t *testing.T) { checkIdentity(t, m, body) })
	}
}

func TestIdentityGenerated(t *testing.T) {
	m := builtin(t)
	keys := []string{"record_type", "id", "company_id", "trigger_action", "note_created_at", "title"}
	rapid.Check(t, func(rt *rapid.T) {
		checkIdentity(t, m, []byte(objectOf(rt, keys, 2)))
		if t.Failed() {
			rt.FailNow()
		}
	})
}

func FuzzIdentify(f *testing.F) {
	for _, body := range goldenBodies(f) {
		f.Add(body)
	}
	m := builtin(f)
	f.Fuzz(func(t *testing.T, body []byte) { checkIdentity(t, m, body) })
}

func TestIdentify(t *testing.T) {
	const record = `"record_type":"Threat","company_id":"c","id":"1"`
	for _, c := range []struct {
		name, body, key string
		unique          bool
	}{
		{"create", `{` + record + `,"trigger_action":"create"}`, "threat/c/1", true},
		{"case and space", `{` + record + `,"trigger_action":" CREATE\t"}`, "threat/c/1", true},
		{"update", `{` + record + `,"trigger_action":"update"}`, "threat/c/1", false},
		{"reopen", `{` + record + `,"trigger_action":"reopen"}`, "threat/c/1", false},
		{"created is another word", `{` + record + `,"trigger_action":"created"}`, "threat/c/1", false},
		{"create in a list", `{` + record + `,"trigger_action":["create"]}`, "threat/c/1", false},
		{"note time", `{` + record + `,"note_created_at":"2026-06-19T09:30:00Z"}`, "threat/c/1", true},
		{"note time is no date", `{` + record + `,"note_created_at":"yesterday"}`, "threat/c/1", true},
		{"note time null", `{` + record + `,"note_created_at":null}`, "threat/c/1", false},
		{"note time empty", `{` + record + `,"note_created_at":""}`, "threat/c/1", false},
		{"note time blank", `{` + record + `,"note_created_at":" \u0020\n"}`, "threat/c/1", false},
		{"note time a number", `{` + record + `,"note_created_at":1}`, "threat/c/1", false},
		{"note text alone", `{` + record + `,"note_message":"x"}`, "threat/c/1", false},
		{"last trigger counts", `{` + record + `,"trigger_action":"create","trigger_action":"update"}`, "threat/c/1", false},
		{"last note time counts", `{` + record + `,"note_created_at":"x","note_created_at":null}`, "threat/c/1", false},
		{"last id counts", `{"id":"2",` + record + `}`, "threat/c/1", false},
		{"escaped key", `{` + record + `,"\u0074rigger_action":"create"}`, "threat/c/1", true},
		{"other kind", `{"id":7,"trigger_action":"create"}`, "other//7", true},
		{"no id", `{"record_type":"Threat","trigger_action":"create"}`, "", true},
		{"blank id", `{"record_type":"Threat","id":" "}`, "", false},
		{"id of a wrong type", `{"record_type":"Threat","id":["1"]}`, "", false},
		{"escapes in the key", `{"record_type":"Support Ticket","id":"a/b%","company_id":"é"}`, "ticket/%C3%A9/a%2Fb%25", false},
		{"no object", `["create"]`, "", false},
		{"two objects", `{` + record + `}{}`, "", false},
		{"empty", ``, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var scratch normalize.Event
			if got := builtin(t).Identify(&scratch, []byte(c.body)); got.Key != c.key || got.Unique != c.unique {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// TestIdentityIgnoresTheMapping: a word that an operator calls a creation makes no
// body unique, because only the vendor's own word is known to come once.
func TestIdentityIgnoresTheMapping(t *testing.T) {
	file := strings.Replace(whole, "create: create", "raised: create", 1)
	m, err := normalize.ParseMapping("m.yaml", []byte(file), normalize.MappingOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var scratch normalize.Event
	if m.Identify(&scratch, []byte(`{"id":"1","trigger_action":"raised"}`)).Unique {
		t.Error("a word of the mapping made a body unique")
	}
	if !m.Identify(&scratch, []byte(`{"id":"1","trigger_action":"create"}`)).Unique {
		t.Error("the vendor's word depends on the mapping")
	}
}

func TestIdentifyAllocatesNothing(t *testing.T) {
	m := builtin(t)
	for name, body := range benchBodies() {
		var scratch normalize.Event
		m.Identify(&scratch, body)
		if n := testing.AllocsPerRun(100, func() { m.Identify(&scratch, body) }); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// TestIdentifyPanics: a Mapping that isn't there stands for any mistake that panics.
func TestIdentifyPanics(t *testing.T) {
	var m *normalize.Mapping
	var scratch normalize.Event
	if got := m.Identify(&scratch, []byte(`{"id":"1","trigger_action":"create"}`)); got != (normalize.Identity{}) {
		t.Errorf("got %+v", got)
	}
}
