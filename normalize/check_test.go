package normalize_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/siemrelay/siemrelay/normalize"
)

// maxDepth is the deepest body that is read.
const maxDepth = 512

// mapped is where the text of one documented key goes.
type mapped struct {
	key   string
	kinds string   // the kinds of records that document it
	ecs   []string // fields that hold it as it is; * stands for the kind
	cef   string   // key, or "name"; "" if it has none
	limit int      // characters in CEF
}

// mappedKeys is the mapping of every key whose text is kept as it is. It is the
// field table of docs/mapping.md, too.
var mappedKeys = []mapped{
	{"record_type", "threat ticket", []string{"defensecom.record_type"}, "", 0},
	{"id", "threat ticket", []string{"defensecom.*.id"}, "externalId", 40},
	{"id", "other", []string{"defensecom.id"}, "externalId", 40},
	{"company_id", "threat ticket other", []string{"organization.id"}, "deviceExternalId", 255},
	{"trigger_action", "threat ticket", []string{"defensecom.trigger_action"}, "act", 63},
	{"trigger_action", "other", nil, "act", 63},
	{"title", "threat", []string{"message", "defensecom.threat.title"}, "name", 512},
	{"subject", "ticket", []string{"message", "defensecom.ticket.subject"}, "name", 512},
	{"description", "threat", []string{"defensecom.threat.description"}, "msg", 1023},
	{"risk", "threat", []string{"defensecom.threat.risk"}, "cs2", 4000},
	{"priority", "ticket", []string{"defensecom.ticket.priority"}, "cs2", 4000},
	{"state", "threat ticket", []string{"defensecom.*.state"}, "cs1", 4000},
	{"type", "threat", []string{"event.provider", "defensecom.threat.type"}, "cat", 1023},
	{"reference", "ticket", []string{"defensecom.ticket.reference"}, "cs4", 4000},
	{"url", "threat ticket", []string{"defensecom.*.url"}, "", 0},
	{"created_at", "threat ticket", nil, "", 0},
	{"note_created_at", "threat ticket", nil, "", 0},
	{"note_created_by", "threat ticket", []string{"user.full_name", "defensecom.note.author.name"}, "suser", 1023},
	{"note_message", "threat ticket", []string{"defensecom.note.message"}, "cs3", 4000},
}

// checkEvent holds everything that is true of any body to the event of this one.
func checkEvent(tb testing.TB, m *normalize.Mapping, body []byte) {
	tb.Helper()
	ecs := encoder(tb, "ecs", normalize.EncoderOptions{EventOriginal: true})
	cef := encoder(tb, "cef", normalize.EncoderOptions{})
	before := bytes.Clone(body)
	var e, again normalize.Event
	m.Event(&e, rawOf(body))
	document, line := ecs(nil, &e), cef(nil, &e)
	leaves, parsed := checkECS(tb, document), checkCEF(tb, line)
	checkState(tb, &e, document, normalize.NewState()([]byte("before"), &e))

	m.Event(&again, rawOf([]byte(`{"record_type":"Threat","id":"x","extra":["\u00e9"]}`)))
	m.Event(&again, rawOf(body))
	if !bytes.Equal(document, ecs(nil, &again)) || !bytes.Equal(line, cef(nil, &again)) {
		tb.Error("an Event used before gives another result than a new one")
	}
	if !bytes.Equal(before, body) {
		tb.Error("the body was changed")
	}
	hash := sha256.Sum256(body)
	if leaves["event.hash"] != hex.EncodeToString(hash[:]) {
		tb.Errorf("event.hash is %v", leaves["event.hash"])
	}
	if original, _ := leaves["event.original"].(string); original != string([]rune(string(body))) {
		tb.Errorf("event.original is %q for %q", original, body)
	}

	object := readObject(body)
	if (object == nil) != (leaves["event.kind"] == "pipeline_error") {
		tb.Fatalf("event.kind is %v for %q", leaves["event.kind"], body)
	}
	if object == nil {
		return
	}
	checkMapped(tb, object, &e, leaves, parsed)
	checkExtra(tb, object, &e, leaves)
	checkKey(tb, object, &e)
}

// readObject reads a body as encoding/json does; nil if it is not one object.
func readObject(body []byte) map[string]any {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	if !json.Valid(body) || depthOf(body) > maxDepth {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		return nil
	}
	object, _ := v.(map[string]any)
	return object
}

func depthOf(body []byte) int {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	depth, deepest := 0, 0
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			return deepest
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
			deepest = max(deepest, depth)
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}

func checkMapped(tb testing.TB, object map[string]any, e *normalize.Event, leaves map[string]any, parsed cefLine) {
	tb.Helper()
	for _, f := range mappedKeys {
		text, isText := object[f.key].(string)
		if !isText || strings.TrimSpace(text) == "" || !strings.Contains(f.kinds, e.Kind) {
			continue
		}
		for _, name := range f.ecs {
			name = strings.ReplaceAll(name, "*", e.Kind)
			if leaves[name] != text {
				tb.Errorf("%s is %q, %s is %q", f.key, text, name, leaves[name])
			}
		}
		want := cleanCEF(text, f.cef == "name", f.limit)
		got := parsed.values[f.cef]
		switch {
		case f.cef == "" || f.cef == "msg" && e.Trigger == "note":
			continue
		case f.cef == "name":
			got = parsed.header[5]
			if want == "" {
				want = e.Action
			}
		}
		if got != want {
			tb.Errorf("%s is %q, %s is %q and not %q", f.key, text, f.cef, got, want)
		}
	}
	if e.Trigger == "note" {
		if text, ok := object["note_message"].(string); ok && parsed.values["msg"] != cleanCEF(text, false, 1023) {
			tb.Errorf("msg of a note is %q", parsed.values["msg"])
		}
	}
}

var (
	controls      = regexp.MustCompile(`[\x00-\x1f\x7f-\x{9f}\x{2028}\x{2029}]+`)
	otherControls = regexp.MustCompile(`[\x00-\x09\x0b-\x1f\x7f-\x{9f}\x{2028}\x{2029}]+`) // but line feed
)

// cleanCEF is the documented cleaning and cutting of a CEF value, in its plainest form.
func cleanCEF(text string, header bool, limit int) string {
	if header {
		text = controls.ReplaceAllString(text, " ")
	} else {
		text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
		text = otherControls.ReplaceAllString(text, " ")
	}
	runes := []rune(strings.TrimSpace(text))
	return strings.TrimSpace(string(runes[:min(limit, len(runes))]))
}

// checkExtra finds every key that is not mapped in defensecom.extra, and no other.
func checkExtra(tb testing.TB, object map[string]any, e *normalize.Event, leaves map[string]any) {
	tb.Helper()
	documented := map[string]bool{"siemrelay_test": object["siemrelay_test"] == true}
	for _, f := range mappedKeys {
		if strings.Contains(f.kinds, e.Kind) {
			documented[f.key] = true
		}
	}
	if e.Kind == "other" {
		// The trigger only chooses a name; the title or subject that is the message is no extra.
		documented["trigger_action"] = false
		title, isText := object["title"].(string)
		useTitle := object["title"] != nil && (!isText || strings.TrimSpace(title) != "")
		subject, isText := object["subject"].(string)
		documented["title"] = useTitle
		documented["subject"] = !useTitle && object["subject"] != nil && (!isText || strings.TrimSpace(subject) != "")
	}
	want := map[string]bool{}
	for key := range object {
		if documented[key] {
			continue
		}
		key = strings.ReplaceAll(key, "\x00", "")
		if key == "" {
			key = "_"
		}
		runes := []rune(key)
		want[string(runes[:min(512, len(runes))])] = true
	}
	got := map[string]bool{}
	extra, _ := leaves["defensecom.extra"].(map[string]any)
	for key := range extra {
		got[key] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		tb.Errorf("keys of extra (-want +got):\n%s", diff)
	}
}

func checkKey(tb testing.TB, object map[string]any, e *normalize.Event) {
	tb.Helper()
	id := ""
	switch v := object["id"].(type) {
	case string:
		if strings.TrimSpace(v) != "" {
			id = v
		}
	case json.Number:
		id = v.String()
	}
	parts := strings.Split(e.Key, "/")
	if len(parts) != 3 || parts[0] != e.Kind {
		tb.Fatalf("key %q", e.Key)
	}
	company, err := url.PathUnescape(parts[1])
	if err != nil || company != e.Company {
		tb.Errorf("key %q of company %q", e.Key, e.Company)
	}
	record, err := url.PathUnescape(parts[2])
	if id == "" && parts[2] != "event:"+eventID || id != "" && (err != nil || record != id || strings.Contains(parts[2], ":")) || e.RecordID != id {
		tb.Errorf("key %q of id %q", e.Key, id)
	}
}
