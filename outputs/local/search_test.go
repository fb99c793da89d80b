package local_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/siemrelay/siemrelay/outputs/local"
)

// searched are the events that TestSearch looks for.
func (r *rig) searched() {
	r.send(1,
		threat("t-1", "create", "title", "SQL injection in the login form", "description", "Reported by Zoë: /login's parameter is not escaped", "risk", "critical"),
		threat("t-2", "create", "title", "Outdated server", "type", "Phishing::Campaign", "risk", "low", "company_id", "other co"),
		threat("t-1", "update", "note_message", "Looked at it; <b>patched</b> soon", "note_created_by", "Alex Morgan", "state", "assigned"),
		ticket("17", "create", "subject", "Question about login"),
		threat("t-1", "closed", "title", "SQL injection in the login form", "state", "remediated"),
		`{"record_type":"Report","id":"9","title":"Weekly report"}`,
		threat("t-3", "create", "risk", "purple", "title", "日本語の脅威 100% & more"),
		threat("t-4", "create", "siemrelay_test", "x", "title", "RTL \u202e and \x1b[31m and NUL \x00 end"),
	)
}

func TestSearch(t *testing.T) {
	r := newRig(t)
	r.searched()
	r.pass(time.Hour)
	for query, want := range map[string][]uint64{
		"":                                    {8, 7, 6, 5, 4, 3, 2, 1},
		"login":                               {5, 4, 1},
		"LOGIN injection":                     {5, 1},
		`"login form"`:                        {5, 1},
		`"form login"`:                        {},
		"login -injection":                    {4},
		"-kind:threat -kind:ticket -report":   {},
		"inject*":                             {5, 1},
		"inject":                              {},
		"zoe":                                 {1},
		"alex patched":                        {3},
		"risk:critical":                       {1},
		"risk:critical,low":                   {2, 1},
		"RISK:Critical":                       {1},
		"risk:unknown":                        {7},
		"-risk:high kind:threat":              {7, 2, 1},
		"kind:ticket":                         {4},
		"kind:other":                          {6},
		"status:closed":                       {5},
		"state:assigned":                      {3},
		"company:acme":                        {8, 7, 5, 4, 3, 1},
		`company:"other co"`:                  {2},
		"company:rockets":                     {8, 7, 5, 4, 3, 1},
		"company:rock*":                       {8, 7, 5, 4, 3, 1},
		"source:phishing":                     {2},
		`source:"vulnerability scanner"`:      {8, 7, 5, 3, 1},
		"type:scanner::site":                  {8, 7, 5, 3, 1},
		"action:threat-noted":                 {3},
		"code:ticket.create":                  {4},
		"id:t-1":                              {5, 3, 1},
		"id:REF-17":                           {4},
		"t-1":                                 {5, 3, 1},
		"tag:defensecom_unknown_risk":         {7},
		"日本語の脅威":                              {7},
		"100% & more":                         {7},
		"NUL end":                             {8},
		"since:2026-06-19T12:00:05Z":          {8, 7, 6, 5},
		"since:2h until:2026-06-19T12:00:02Z": {1},
		"since:1s":                            {},
		"type:Scanner::Site -id:t-1":          {8, 7},
	} {
		if diff := cmp.Diff(want, r.find(query)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	id := fmt.Sprintf("%032x", 3*7919)
	for _, query := range []string{"id:" + id, "id:" + id[:31]} {
		if got := r.find(query); len(got) != 1 || got[0] != 3 {
			t.Errorf("%s: %v", query, got)
		}
	}
}

func TestRecordsAreTheirLastState(t *testing.T) {
	r := newRig(t)
	r.searched()
	var ids []string
	for _, x := range r.records("") {
		ids = append(ids, x.ID)
	}
	if diff := cmp.Diff([]string{"t-4", "t-3", "t-1", "17", "t-2"}, ids); diff != "" {
		t.Error(diff)
	}
	got, timeline, err := r.Record(context.Background(), "threat/acme/t-1", 10)
	r.must(err)
	if got.Status != "closed" || got.Note != "Looked at it; <b>patched</b> soon" || got.NoteBy != "Alex Morgan" || got.Events != 3 || len(timeline) != 3 {
		t.Errorf("%+v", got)
	}
	for query, want := range map[string]int{"patched status:closed": 1, "status:open": 4, "risk:critical": 0, "kind:ticket login": 1} {
		if got := r.records(query); len(got) != want {
			t.Errorf("%s: %v", query, got)
		}
	}
	all := r.records("", func(p *local.RecordPage) { p.Severity = true })
	for i := range all[1:] {
		if all[i].Severity < all[i+1].Severity {
			t.Errorf("%d: %d before %d", i, all[i].Severity, all[i+1].Severity)
		}
	}
}
