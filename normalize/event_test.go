package normalize_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/siemrelay/siemrelay/mappings"
	"github.com/siemrelay/siemrelay/normalize"
)

// TestFacts is what routing and filters see of some events.
func TestFacts(t *testing.T) {
	base := normalize.Event{ID: eventID, Sequence: 42, Accepted: received}
	for _, c := range []struct {
		name, body string
		want       func(e *normalize.Event)
	}{
		{"vendor's threat", string(mappings.Samples()[0].Body), func(e *normalize.Event) {
			e.Key = "threat/abc12345-6789-0def-1234-56789abcdef0/0f9c8b7a-1234-5678-9abc-def012345678"
			e.RecordID, e.Company = "0f9c8b7a-1234-5678-9abc-def012345678", "abc12345-6789-0def-1234-56789abcdef0"
			e.Kind, e.Dataset, e.EventKind, e.Trigger, e.Action = "threat", "defensecom.threat", "alert", "create", "threat-created"
			e.State, e.Status, e.Severity, e.SyslogSeverity, e.Source = "detected", "open", 73, 3, "Vulnerability scanner"
			e.Tags = []string{"defensecom-threat", "forwarded"}
		}},
		{"vendor's ticket", string(mappings.Samples()[1].Body), func(e *normalize.Event) {
			e.Key = "ticket/abc12345-6789-0def-1234-56789abcdef0/11223344-5566-7788-99aa-bbccddeeff00"
			e.RecordID, e.Company = "11223344-5566-7788-99aa-bbccddeeff00", "abc12345-6789-0def-1234-56789abcdef0"
			e.Kind, e.Dataset, e.EventKind, e.Trigger, e.Action = "ticket", "defensecom.ticket", "event", "note", "ticket-noted"
			e.State, e.Status, e.Severity, e.SyslogSeverity = "awaiting_customer_reply", "open", 47, 5
			e.Tags = []string{"defensecom-ticket", "forwarded"}
		}},
		{"words in another case, id a number", `{"record_type":"THREAT","id":7,"company_id":"c/d ü","trigger_action":"Close","title":"t",
			"risk":"Info","state":" Risk_Accepted ","type":"company"}`, func(e *normalize.Event) {
			e.Key, e.RecordID, e.Company = "threat/c%2Fd%20%C3%BC/7", "7", "c/d ü"
			e.Kind, e.Dataset, e.EventKind, e.Trigger, e.Action = "threat", "defensecom.threat", "event", "closed", "threat-closed"
			e.State, e.Status, e.Severity, e.SyslogSeverity, e.Source = "risk_accepted", "closed", 10, 6, "Company-wide"
			e.Tags = []string{"defensecom-threat", "forwarded", "defensecom_wrong_type"}
		}},
		{"unknown words, id of the wrong type", `{"record_type":"Threat","id":{},"company_id":"c","trigger_action":"Escalate!","title":"t",
			"risk":"severe","state":"Triaged","type":"X::Y"}`, func(e *normalize.Event) {
			e.Key, e.Company = "threat/c/event:"+eventID, "c"
			e.Kind, e.Dataset, e.EventKind, e.Trigger, e.Action = "threat", "defensecom.threat", "event", "other", "threat-escalate"
			e.State, e.Status, e.Severity, e.SyslogSeverity, e.Source = "Triaged", "unknown", 47, 4, "X::Y"
			e.Tags = []string{"defensecom-threat", "forwarded", "defensecom_unknown_trigger", "defensecom_unknown_state",
				"defensecom_unknown_risk", "defensecom_unknown_type", "defensecom_wrong_type"}
		}},
		{"nothing but the record type", `{"record_type":"Support Ticket"}`, func(e *normalize.Event) {
			e.Key = "ticket//event:" + eventID
			e.Kind, e.Dataset, e.EventKind, e.Trigger, e.Action = "ticket", "defensecom.ticket", "event", "other", "ticket-other"
			e.Status, e.Severity, e.SyslogSeverity = "unknown", 47, 5
			e.Tags = []string{"defensecom-ticket", "forwarded", "defensecom_missing_id", "defensecom_missing_company",
				"defensecom_missing_trigger", "defensecom_missing_state", "defensecom_missing_title", "defensecom_missing_priority"}
		}},
		{"other kind", `{"record_type":"Asset","id":"a:b","trigger_action":"create","title":"t","state":"detected"}`, func(e *normalize.Event) {
			e.Key, e.RecordID = "other//a%3Ab", "a:b"
			e.Kind, e.Dataset, e.EventKind, e.Trigger, e.Action = "other", "defensecom.other", "event", "other", "other-create"
			e.Severity, e.SyslogSeverity = 47, 4
			e.Tags = []string{"defensecom-other", "forwarded", "defensecom_missing_company", "defensecom_unknown_record_type"}
		}},
		{"test event", `{"record_type":"Threat","id":"1","company_id":"c","trigger_action":"create","title":"t","risk":"low",
			"state":"assigned","type":"User","siemrelay_test":true}`, func(e *normalize.Event) {
			e.Key, e.RecordID, e.Company = "threat/c/1", "1", "c"
			e.Kind, e.Dataset, e.EventKind, e.Trigger, e.Action = "threat", "defensecom.threat", "event", "create", "threat-created"
			e.State, e.Status, e.Severity, e.SyslogSeverity, e.Source = "assigned", "open", 21, 5, "Custom threat"
			e.Tags = []string{"defensecom-threat", "forwarded", "siemrelay_test"}
		}},
		{"no object", `[1]`, func(e *normalize.Event) {
			e.Key = "other//event:" + eventID
			e.Kind, e.Dataset, e.EventKind, e.Trigger, e.Action = "other", "defensecom.other", "pipeline_error", "other", "other-other"
			e.Severity, e.SyslogSeverity = 47, 4
			e.Tags = []string{"defensecom-other", "forwarded", "siemrelay_mapping_error"}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := base
			c.want(&want)
			var e normalize.Event
			builtin(t).Event(&e, rawOf([]byte(c.body)))
			if diff := cmp.Diff(want, e, cmpopts.IgnoreUnexported(normalize.Event{})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestMessageAndCode: what an event is called in lists.
func TestMessageAndCode(t *testing.T) {
	for body, want := range map[string][2]string{
		`{"record_type":"threat","trigger_action":"create","title":"Open port"}`:      {"Open port", "threat.create"},
		`{"record_type":"support ticket","trigger_action":"update","subject":"Help"}`: {"Help", "ticket.update"},
		`{"record_type":"threat","trigger_action":"closed"}`:                          {"threat-closed", "threat.closed"},
		`not JSON`: {"other-other", "other.event"},
	} {
		var e normalize.Event
		builtin(t).Event(&e, rawOf([]byte(body)))
		if e.Message() != want[0] || e.Code() != want[1] {
			t.Errorf("%s is called %q with the code %q, want %q", body, e.Message(), e.Code(), want)
		}
	}
}

func TestTagsOfRaw(t *testing.T) {
	for _, body := range []string{`{"record_type":"Threat"}`, `not JSON`} {
		raw := rawOf([]byte(body))
		raw.Tags = []string{"defensecom_possible_retry", "forwarded"}
		var e normalize.Event
		builtin(t).Event(&e, raw)
		leaves := checkECS(t, encoder(t, "ecs", normalize.EncoderOptions{})(nil, &e)) // finds a tag that is there twice
		if !slices.Contains(leaves["tags"].([]any), "defensecom_possible_retry") {
			t.Errorf("tags of %s are %v", body, leaves["tags"])
		}
	}
}

// TestPanicBecomesMinimalEvent provokes a panic with a nil Mapping.
func TestPanicBecomesMinimalEvent(t *testing.T) {
	raw := rawOf(mappings.Samples()[0].Body)
	raw.Tags = []string{"defensecom_possible_retry"}
	var e normalize.Event
	(*normalize.Mapping)(nil).Event(&e, raw)
	leaves := checkECS(t, encoder(t, "ecs", normalize.EncoderOptions{EventOriginal: false})(nil, &e))
	want := []any{"defensecom-other", "forwarded", "siemrelay_mapping_error", "defensecom_possible_retry"}
	if diff := cmp.Diff(want, leaves["tags"]); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	if leaves["event.kind"] != "pipeline_error" || leaves["event.original"] != string(raw.Body) || leaves["event.id"] != eventID {
		t.Errorf("event %v", leaves)
	}
	checkCEF(t, encoder(t, "cef", normalize.EncoderOptions{})(nil, &e))

	builtin(t).Event(&e, raw) // the same Event is as good as new afterwards
	if e.Action != "threat-created" || e.EventKind != "alert" {
		t.Errorf("after a panic: action %q, kind %q", e.Action, e.EventKind)
	}
}

// TestConcurrentUse maps different bodies with one Mapping on several goroutines
// (for the race detector) and compares with what one alone gives.
func TestConcurrentUse(t *testing.T) {
	m, encode := builtin(t), encoder(t, "ecs", normalize.EncoderOptions{EventOriginal: true})
	var wg sync.WaitGroup
	for _, s := range mappings.Samples()[:8] {
		wg.Go(func() {
			var e normalize.Event
			var first string
			for i := range 200 {
				m.Event(&e, rawOf(s.Body))
				document := string(encode(nil, &e))
				if i == 0 {
					first = document
				}
				if document != first {
					t.Errorf("%s: two results for one body", s.Name)
				}
			}
		})
	}
	wg.Wait()
}

func TestNoAllocations(t *testing.T) {
	m := builtin(t)
	for _, format := range normalize.Formats() {
		encode := encoder(t, format, normalize.EncoderOptions{EventOriginal: true})
		for _, s := range mappings.Samples()[:21] { // the rest has words that the vendor has not documented
			var e normalize.Event
			var buf []byte
			raw := rawOf(s.Body)
			got := testing.AllocsPerRun(20, func() {
				m.Event(&e, raw)
				buf = encode(buf[:0], &e)
			})
			if got != 0 {
				t.Errorf("%s of %s allocates %.0f times", format, s.Name, got)
			}
		}
	}
}

// TestHostileSizes feeds the bodies that make simple code slow or greedy: reading
// one takes a small multiple of its size in memory.
func TestHostileSizes(t *testing.T) {
	m := builtin(t)
	const size = 128 << 10
	keys := make([]string, 10000)
	for i := range keys {
		keys[i] = fmt.Sprintf(`"k%d":1`, i)
	}
	for name, body := range map[string]string{
		"numbers":           `{"a":[1` + strings.Repeat(",1", size/2) + `]}`,
		"keys":              "{" + strings.Join(keys, ",") + "}",
		"equal keys":        `{"a":1` + strings.Repeat(`,"a":1`, size/6) + "}",
		"long key":          `{"` + strings.Repeat("k", size) + `":1}`,
		"long number":       `{"n":1` + strings.Repeat("0", size) + "}",
		"escaped quotes":    `{"a":"` + strings.Repeat(`\"`, size/2) + `"}`,
		"backslashes":       `{"a":"` + strings.Repeat(`\\`, size/2) + `"}`,
		"surrogates":        `{"\ud800":"` + strings.Repeat(`\ud800`, size/6) + `"}`,
		"deep":              strings.Repeat(`{"a":[`, maxDepth/2) + strings.Repeat("]}", maxDepth/2),
		"deep with ballast": strings.Repeat(`{"a":`, 60) + `"` + strings.Repeat("x", size) + `"` + strings.Repeat("}", 60),
		"unclosed":          strings.Repeat("[", size/2),
		"unclosed objects":  strings.Repeat(`{"":`, size/4),
		"title":             `{"record_type":"Threat","title":"` + strings.Repeat("é|=", size/4) + `"}`,
		"wrong type":        `{"record_type":"Threat","title":[1` + strings.Repeat(",1", size/2) + `]}`,
		"trigger":           `{"record_type":"Threat","trigger_action":"` + strings.Repeat("A-", size/2) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			var e normalize.Event
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			m.Event(&e, rawOf([]byte(body)))
			runtime.ReadMemStats(&after)
			if times := (after.TotalAlloc - before.TotalAlloc) / uint64(len(body)); times > 50 {
				t.Errorf("%d bytes took %d times as much memory", len(body), times)
			}
			checkEvent(t, m, []byte(body))
		})
	}
}
