package normalize_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/mappings"
	"github.com/siemrelay/siemrelay/normalize"
)

// TestState holds the state of each sample to the file beside it.
func TestState(t *testing.T) {
	m, encode := builtin(t), normalize.NewState()
	var e normalize.Event
	for _, sample := range mappings.Samples() {
		m.Event(&e, rawOf(sample.Body))
		var indented bytes.Buffer
		if state := encode(nil, &e); len(state) > 0 {
			if err := json.Indent(&indented, state, "", "  "); err != nil {
				t.Fatal(err)
			}
		}
		golden(t, filepath.Join("testdata/state", sample.Name+".json"), indented.String()+"\n")
	}
}

// TestStateAgreesWithTheEvent: a state says of a record what the ECS document of the
// event says, in the same fields, and nothing that is not a field of a state.
func TestStateAgreesWithTheEvent(t *testing.T) {
	document, state := encoder(t, "ecs", normalize.EncoderOptions{}), normalize.NewState()
	var e normalize.Event
	states := 0
	for name, body := range goldenBodies(t) {
		t.Run(name, func(t *testing.T) {
			goldenSetup(t, name).mapping(t).Event(&e, rawOf(body))
			if checkState(t, &e, document(nil, &e), state([]byte("before"), &e)) {
				states++
			}
		})
	}
	if states < 100 {
		t.Errorf("only %d cases have a state", states)
	}
}

// checkState checks what the encoder of states made, after "before", of an event,
// and tells whether it has a state at all.
func checkState(tb testing.TB, e *normalize.Event, document, out []byte) bool {
	tb.Helper()
	state, ok := bytes.CutPrefix(out, []byte("before"))
	if !ok {
		tb.Fatalf("what stood before is gone: %q", out)
	}
	event := checkECS(tb, document)
	recordOf := e.Kind != "other" && e.RecordID != "" && !strings.Contains(fmt.Sprint(event["tags"]), "siemrelay_test")
	if recordOf != (len(state) > 0) {
		tb.Fatalf("the state of a %s with the record id %q is %q", e.Kind, e.RecordID, state)
	}
	if !recordOf {
		return false
	}
	leaves := checkFields(tb, state)
	for field, value := range leaves {
		if !loadECSTable().Fields[field].Latest {
			tb.Errorf("%s is no field of a state", field)
		}
		if field != "event.kind" && field != "event.created" && fmt.Sprint(value) != fmt.Sprint(event[field]) {
			tb.Errorf("%s is %v in the state, and %v in the event", field, value, event[field])
		}
	}
	note := event["defensecom.note.message"] != nil || event["defensecom.note.author.name"] != nil
	for field := range loadECSTable().Fields {
		there := event[field] != nil && loadECSTable().Fields[field].Latest &&
			(note || !strings.HasPrefix(field, "defensecom.note."))
		if there && leaves[field] == nil {
			tb.Errorf("the state lacks %s", field)
		}
	}
	if leaves["event.kind"] != "state" || leaves["event.created"] == nil || leaves["@timestamp"] == nil {
		tb.Errorf("the state is %s", state)
	}
	return true
}
