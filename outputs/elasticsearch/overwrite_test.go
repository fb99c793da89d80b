package elasticsearch_test

import (
	"fmt"
	"testing"

	"github.com/siemrelay/siemrelay/normalize"
	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/elasticsearch/elasticsearchtest"
)

// TestOverwrite: events are written again where they are, with the time at which they
// first arrived; what is missing comes in anew; and a latest state shows the new
// mapping of the event that it always showed.
func TestOverwrite(t *testing.T) {
	server := elasticsearchtest.New(t)
	c := configOf(server)
	c.Latest = true
	out := newOutput(t, c)
	old := newMaker(t)
	changed := newMaker(t, normalize.MappingFile{Name: "m.yaml", Data: []byte("sources:\n  Scanner::Site: {label: Perimeter scan}\n")})
	steps := lifeSteps()
	batch := func(m *maker, overwrite bool) []outputs.Message {
		var list []outputs.Message
		for i := range 4 * len(steps) {
			s := steps[i/4]
			x := m.messageOf(uint64(i+1), threat(fmt.Sprint("o", i%4), s.trigger, s.state, s.more))
			x.Overwrite = overwrite
			list = append(list, x)
		}
		created := m.messageOf(100, threat("only created", "create", "detected", ""))
		created.Overwrite = overwrite
		return append(list, created)
	}
	first := batch(old, false)
	want := map[string]life{}
	for i, x := range first {
		s := steps[0]
		if i < 4*len(steps) {
			s = steps[i/4]
		}
		want[recordID(x)] = want[recordID(x)].after(x, s)
	}
	const stream = "logs-defensecom.threat-default"
	deliver(t, out, first[:5], nil)
	server.Rollover(stream)
	deliver(t, out, first[6:], nil) // one is missing
	before := map[string]elasticsearchtest.Document{}
	for _, d := range server.Documents(".ds-") {
		before[d.ID] = d
	}
	for _, x := range batch(changed, true) { // one by one: a late creation must know by itself that it is late
		if got := deliver(t, out, []outputs.Message{x}, nil); len(got.done) != 1 {
			t.Fatalf("%v", got.refused)
		}
	}
	after := server.Documents(".ds-")
	if len(after) != len(first) {
		t.Errorf("%d documents for %d events", len(after), len(first))
	}
	for _, d := range after {
		if source := field(t, d.Source, "defensecom", "threat", "source"); source != "Perimeter scan" {
			t.Errorf("event %s still is of %v", d.ID, source)
		}
		was, there := before[d.ID]
		ingested := field(t, d.Source, "event", "ingested")
		if there && (was.Index != d.Index || field(t, was.Source, "event", "ingested") != ingested) || ingested == nil {
			t.Errorf("event %s was in %s, and is in %s, ingested %v", d.ID, was.Index, d.Index, ingested)
		}
	}
	states := server.Documents("defensecom-latest-threat")
	if len(states) != 5 {
		t.Errorf("%d latest states", len(states))
	}
	for _, d := range states {
		want[d.ID].check(t, d.Source)
		if source := field(t, d.Source, "defensecom", "threat", "source"); source != "Perimeter scan" {
			t.Errorf("the state of %s still is of %v", d.ID, source)
		}
	}
	// Newer events go on as before.
	next := old.messageOf(200, threat("only created", "update", "assigned", ""))
	deliver(t, out, []outputs.Message{next}, nil)
	for _, d := range server.Documents("defensecom-latest-threat") {
		if d.ID == recordID(next) && field(t, d.Source, "event", "id") != next.ID {
			t.Errorf("a newer event did not change the state: %s", d.Source)
		}
	}
}
