package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// TestRouting: each output gets what its filter lets pass, the rest is counted as
// filtered, also across a kill; a filter that can't be told for an event lets it
// pass; and a company has its name and its namespace.
func TestRouting(t *testing.T) {
	d := openLab(t, endtoend.Setup{
		Outputs: []endtoend.Output{
			{Format: "ecs", Name: "all"},
			{Format: "ecs", Name: "severe", When: `kind == "threat" && severity >= 73`},
			{Format: "ecs", Name: "tickets", When: `kind == "ticket"`},
			{Format: "ecs", Name: "numbered", When: `int(company) >= 7`}, // not of every company
			{Format: "ecs", Name: "none", When: `"no such tag" in tags`},
		},
		More: "companies:\n  \"007\": {name: \"Universal Exports\", namespace: uex}\n  acme: {name: ACME}\n",
	})
	webhooks := []struct{ kind, company, risk string }{
		{"Threat", "007", "critical"}, {"Threat", "acme", "high"}, {"Threat", "5", "low"}, {"Support Ticket", "007", ""}, {"Unheard of", "", ""},
	}
	want := map[string][]int{
		"all": {0, 1, 2, 3, 4}, "severe": {0, 1}, "tickets": {3},
		"numbered": {0, 1, 3, 4}, // 1 and 4 because no number is in their company
		"none":     nil,
	}
	const turns = 20
	for turn := range turns {
		for i, w := range webhooks {
			d.post(fmt.Sprintf(`{"record_type":%q,"id":"%d-%d","company_id":%q,"risk":%q,"trigger_action":"create","title":"%d","subject":"%d"}`, w.kind, turn, i, w.company, w.risk, i, i))
		}
		if turn == turns/2 {
			d.restart(true)
		}
	}
	for i, o := range d.Outputs {
		all, passed := int64(turns*len(webhooks)), int64(turns*len(want[o.Name]))
		d.account(o.Name, endtoend.Account{Entered: all, Delivered: passed, Filtered: all - passed})
		got, ids := map[string]int{}, map[string]bool{}
		for _, doc := range d.documents(i) {
			if !ids[doc.Event.ID] {
				got[doc.Message]++
			}
			ids[doc.Event.ID] = true
			checkCompany(t, doc)
		}
		if len(got) != len(want[o.Name]) {
			t.Errorf("output %s has %v, want %v", o.Name, got, want[o.Name])
		}
	}
	d.Stop(d.process)
}

func checkCompany(t *testing.T, doc document) {
	t.Helper()
	name, namespace := "", "default"
	switch doc.Organization.ID {
	case "007":
		name, namespace = "Universal Exports", "uex"
	case "acme":
		name = "ACME"
	}
	if doc.Organization.Name != name || doc.DataStream.Namespace != namespace {
		t.Errorf("company %q: %+v in namespace %q, want %q in %q", doc.Organization.ID, doc.Organization, doc.DataStream.Namespace, name, namespace)
	}
}

// TestMappingMendedAndReplayed: a mapping file with a mistake is refused with its
// line; mended, the events of before are delivered again under their ids, with what
// the mapping says now.
func TestMappingMendedAndReplayed(t *testing.T) {
	d := openLab(t, endtoend.Setup{})
	var ids []string
	for n := range 30 {
		ids = append(ids, d.post(fmt.Sprintf(`{"record_type":"Threat","id":"%d","trigger_action":"create","title":"T","type":"Brand::NewThing"}`, n)).ID)
	}
	d.account("ecs", endtoend.Account{Entered: 30, Delivered: 30})
	d.end(true)
	mapping := filepath.Join(d.Dir, "words.yaml")
	write := func(text string) {
		if err := os.WriteFile(mapping, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d.Configure(func(s *endtoend.Setup) { s.More = fmt.Sprintf("mappings: [%q]\n", mapping) })
	write("# ours\nsources:\n  Brand::NewThing: {lable: The new thing}\nrisks: {high: {severity: 1000}}\n")
	for _, command := range []string{"serve", "validate", "status"} {
		ran := d.Run(command)
		if ran.Code != 78 || !strings.Contains(ran.Err, mapping+":3:21:") || !strings.Contains(ran.Err, mapping+":4:26:") {
			t.Errorf("%s: exit code %d, want 78 and both mistakes with their places: %s%s", command, ran.Code, ran.Out, ran.Err)
		}
	}
	write("# ours\nsources:\n  Brand::NewThing: {label: The new thing}\n")
	d.start()
	after := d.post(`{"record_type":"Threat","id":"after","trigger_action":"create","title":"T","type":"Brand::NewThing"}`).ID
	d.account("ecs", endtoend.Account{Entered: 31, Delivered: 31})
	d.Must("replay", "--output", "ecs", "--since", "1h", "--wait")
	d.account("ecs", endtoend.Account{Entered: 62, Delivered: 62})
	docs := d.documents(0)
	want := append(append(append([]string{}, ids...), after), append(ids, after)...)
	for i, doc := range docs {
		label := "The new thing"
		if i < len(ids) {
			label = "Brand::NewThing"
		}
		if i >= len(want) || doc.Event.ID != want[i] || doc.Defensecom.Threat.Source != label {
			t.Fatalf("document %d of %d is %+v, want the label %q", i, len(docs), doc, label)
		}
	}
	if len(docs) != len(want) {
		t.Errorf("%d documents, want %d", len(docs), len(want))
	}
	d.Stop(d.process)
}
