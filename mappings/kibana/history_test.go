package kibana_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/mappings"
	"github.com/siemrelay/siemrelay/normalize"
	"github.com/siemrelay/siemrelay/outputs"
)

// A history of webhooks, and what it says, told from the raw bodies without any of
// siemrelay's code: what the panels show is held to this.

// webhook is one of the history, as the vendor's page describes it.
type webhook struct {
	body     map[string]any
	accepted time.Time
}

func (w webhook) text(key string) string  { s, _ := w.body[key].(string); return s }
func (w webhook) shown(key string) string { return cmp.Or(w.text(key), missing) }
func (w webhook) isThreat() bool          { return w.text("record_type") == "Threat" }
func (w webhook) isTicket() bool          { return w.text("record_type") == "Support Ticket" }
func (w webhook) isTest() bool            { return w.body["siemrelay_test"] == true }
func (w webhook) hasNote() bool           { return w.text("note_message") != "" }
func (w webhook) record() string {
	return w.text("record_type") + "/" + w.text("company_id") + "/" + w.text("id")
}

// created is created_at in UTC.
func (w webhook) created(t *testing.T) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, w.text("created_at"))
	if err != nil {
		t.Fatal(err)
	}
	return at.UTC()
}

// happened is when the event was: its own time if it tells one, else the receipt.
func (w webhook) happened(t *testing.T) time.Time {
	t.Helper()
	switch {
	case w.text("trigger_action") == "create":
		return w.created(t)
	case w.hasNote():
		at, err := time.Parse(time.RFC3339, w.text("note_created_at"))
		if err != nil {
			t.Fatal(err)
		}
		return at.UTC()
	}
	return w.accepted
}

// risk is the column of the risk.
func (w webhook) risk() string {
	switch r := w.text("risk"); r {
	case "critical", "high", "medium", "low", "info":
		return r
	}
	return "other"
}

// severity is the number of the risk or priority.
func (w webhook) severity() int {
	words := map[string]int{
		"info": 10, "low": 21, "medium": 47, "high": 73, "critical": 99,
		"Information Request": 21, "Service Request": 21, "Standard": 47, "Urgent": 73, "Critical": 99,
	}
	if n := words[w.text("risk")+w.text("priority")]; n > 0 {
		return n
	}
	return 47
}

// open says whether the state is one of those that the vendor's page calls open.
func (w webhook) open() bool {
	return slices.Contains([]string{"detected", "assigned", "new", "awaiting_reply", "awaiting_reply_on_hold", "awaiting_customer_reply", "awaiting_customer_approval"}, w.text("state"))
}

func (w webhook) opened() bool {
	return w.isThreat() && !w.isTest() && (w.text("trigger_action") == "create" || w.text("trigger_action") == "reopen")
}

func (w webhook) closed() bool {
	return w.isThreat() && !w.isTest() && w.text("trigger_action") == "closed"
}

// history is all of them, in the order of their acceptance.
type history []webhook

// latest are the last words about each record.
func (h history) latest() history {
	last := map[string]webhook{}
	for _, w := range h {
		if !w.isTest() && (w.isThreat() || w.isTicket()) {
			last[w.record()] = w
		}
	}
	return slices.Collect(maps.Values(last))
}

func (h history) where(is ...func(webhook) bool) history {
	var some history
	for _, w := range h {
		if !slices.ContainsFunc(is, func(f func(webhook) bool) bool { return !f(w) }) {
			some = append(some, w)
		}
	}
	return some
}

// expected is what each panel has to show.
func expected(t *testing.T, h history) map[string]rows {
	t.Helper()
	all := map[string]rows{}
	add := func(panel, key, column string) {
		if all[panel] == nil {
			all[panel] = rows{}
		}
		all[panel].add(key, column, 1)
	}
	for _, w := range h {
		day := w.happened(t).Format("2006-01-02T00:00:00.000Z")
		switch {
		case w.opened():
			add("opened", "", "value")
			add("opened-over-time", day, w.risk())
		case w.closed():
			add("closed", "", "value")
			add("closed-over-time", day, w.risk())
		}
	}
	oldest := time.Now()
	for _, w := range h.latest() {
		source := map[string]string{"Phishing::Campaign": "Phishing campaign", "Scanner::Site": "Vulnerability scanner", "Company": "Company-wide"}[w.text("type")]
		switch {
		case w.isThreat():
			add("state", w.shown("state"), "total")
		case w.open():
			add("open-tickets", "", "value")
			add("priority-state", w.shown("priority")+" / "+w.shown("state"), "total")
		}
		if !w.isThreat() || !w.open() {
			continue
		}
		if source == "" {
			source = cmp.Or(otherSources()[w.text("type")], missing)
		}
		add("open-now", "", "value")
		add("company", w.shown("company_id"), "total")
		add("source-risk", source, "total")
		add("source-risk", source, w.risk())
		if w.risk() == "critical" || w.risk() == "high" {
			add("severe-now", "", "value")
			add("company", w.shown("company_id"), "severe")
		}
		if w.created(t).Before(oldest) {
			oldest = w.created(t)
		}
	}
	all["oldest-open"] = rows{"": {"value": float64(oldest.UnixMilli())}}
	return all
}

// otherSources are the labels of docs/mapping.md, and what has none.
func otherSources() map[string]string {
	return map[string]string{
		"User": "Custom threat", "AppScanner::Site": "Application scanner", "Questionnaires::Question": "Cyber assessment",
		"PenTest::Report": "Penetration test", "Recon::Report": "Reconnaissance", "SIEM::SecurityEvent": "SIEM security event",
		"Intel::Item": "Threat intelligence", "EndpointProtection::CompanyPackage": "Endpoint protection", "OrbitalAgent::Company": "Orbital agent",
		"Integrations::Microsoft365": "Microsoft Secure Score", "Training::Campaign": "Security awareness training", "Unknown::Thing": "Unknown::Thing",
	}
}

// needle is a word in the middle of a long description.
const needle = "zugzwang"

// newHistory has the samples, the lives of some records in several companies, a test
// event, and a long description.
func newHistory(t *testing.T) history {
	t.Helper()
	at := time.Date(2026, 6, 20, 0, 0, 0, 0, time.UTC)
	var h history
	add := func(body map[string]any) {
		at = at.Add(97 * time.Minute)
		h = append(h, webhook{maps.Clone(body), at})
	}
	for _, s := range mappings.Samples() {
		var body map[string]any
		decode(t, s.Body, &body)
		add(body)
	}
	r := rand.New(rand.NewPCG(1, 2)) // the same history each time
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	for i := range 60 {
		body := map[string]any{
			"record_type": "Threat", "id": fmt.Sprintf("threat-%d", i), "company_id": pick("17", "18", "19"),
			"trigger_action": "create", "title": fmt.Sprintf("Threat %d", i), "description": "Found by a scan.",
			"risk": pick("info", "low", "medium", "high", "critical", "odd"), "state": "detected",
			"type": pick("Phishing::Campaign", "Scanner::Site", "Company", "Unknown::Thing"),
			"url":  "https://my.defense.com/threats/x", "created_at": at.Add(-time.Hour).Format(time.RFC3339),
		}
		ticket := i%5 == 0
		if ticket {
			delete(body, "risk")
			delete(body, "type")
			body["record_type"], body["subject"], body["priority"], body["state"] = "Support Ticket", body["title"], pick("Standard", "Urgent", "Odd"), "new"
		}
		add(body)
		for range r.IntN(6) {
			step := maps.Clone(body)
			step["trigger_action"] = pick("update", "closed", "reopen")
			switch {
			case ticket && step["trigger_action"] == "closed":
				step["state"] = "closed"
			case ticket:
				step["state"] = pick("awaiting_reply", "awaiting_customer_reply")
			case step["trigger_action"] == "closed":
				step["state"] = pick("remediated", "false_positive", "risk_accepted")
			default:
				step["state"] = pick("detected", "assigned", "odd_state")
			}
			if step["trigger_action"] == "update" && r.IntN(2) == 0 {
				step["note_message"], step["note_created_by"] = "Seen.", "Priya Shah"
				step["note_created_at"] = at.Format(time.RFC3339)
			}
			add(step)
		}
	}
	// What the vendor leaves out.
	for i, without := range [][]string{{"type", "company_id", "risk"}, {"state"}} {
		bare := maps.Clone(h[0].body)
		bare["id"] = fmt.Sprintf("bare-%d", i)
		maps.DeleteFunc(bare, func(key string, _ any) bool { return slices.Contains(without, key) })
		add(bare)
	}
	bare := maps.Clone(h[1].body)
	bare["id"] = "bare-ticket"
	delete(bare, "priority")
	add(bare)
	test := maps.Clone(h[0].body)
	test["siemrelay_test"], test["id"], test["risk"] = true, "test", "critical"
	add(test)
	long := maps.Clone(h[0].body)
	filler := strings.Repeat("lorem ipsum dolor sit amet ", 750)
	long["id"], long["description"] = "long", filler+needle+" "+filler
	add(long)
	return h
}

// messages makes of the history what the relay would.
func (h history) messages(t *testing.T) []outputs.Message {
	t.Helper()
	m, err := normalize.ParseMapping(mappings.File, mappings.Defensecom(), normalize.MappingOptions{
		LinkHosts: []string{"my.defense.com"}, Companies: map[string]normalize.Company{"17": {Name: "Example Ltd"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	encode, err := normalize.NewEncoder("ecs", normalize.EncoderOptions{AgentVersion: "1.2.3", EventOriginal: true})
	if err != nil {
		t.Fatal(err)
	}
	state := normalize.NewState()
	var all []outputs.Message
	for i, w := range h {
		raw, err := json.Marshal(w.body)
		if err != nil {
			t.Fatal(err)
		}
		var tags []string
		if i == 1 {
			tags = []string{"defensecom_possible_retry"}
		}
		var e normalize.Event
		m.Event(&e, normalize.Raw{ID: fmt.Sprintf("%032x", i+1), Sequence: uint64(i + 1), Accepted: w.accepted, Tags: tags, Body: raw})
		all = append(all, outputs.Message{
			ID: e.ID, Key: e.Key, Kind: e.Kind, Company: e.Company, Namespace: "default", Dataset: e.Dataset,
			EventKind: e.EventKind, Trigger: e.Trigger, Accepted: w.accepted, Sequence: uint64(i + 1),
			SyslogSeverity: e.SyslogSeverity, Body: encode(nil, &e), State: state(nil, &e),
		})
	}
	return all
}
