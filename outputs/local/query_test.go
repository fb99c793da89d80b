package local_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/outputs/local"
)

// TestQueriesThatCantBeMeant: a mistake is told, with what is meant and what there is.
func TestQueriesThatCantBeMeant(t *testing.T) {
	for text, want := range map[string]string{
		"risc:high":                             "there is no filter risc:; did you mean risk:? there are risk, state, status, kind, company, source, type, action, code, id, tag, since, until",
		"color:red":                             "there is no filter color:; there are risk,",
		"risk:hihg":                             "risk:hihg is unknown; did you mean risk:high? it is one of info, low, medium, high, critical, unknown",
		"risk:high,nonsense":                    "risk:nonsense is unknown; it is one of",
		"status:detected":                       "status:detected is unknown; it is one of open, closed, unknown",
		"kind:alert":                            "it is one of threat, ticket, other",
		"risk:":                                 "risk: has no value; write risk:info",
		"company:":                              "company: has no value; write company:VALUE",
		`state:""`:                              "state: has no value",
		"risk:high,":                            "risk: has no value",
		"since:yesterday":                       `since: "yesterday" is not a time`,
		"since:":                                "is not a time",
		"since:1h since:2h":                     "since: is given twice",
		"-since:1h":                             "can't be left out",
		"since:1h,2h":                           "takes one time",
		"since:1h until:2h":                     "is not before until",
		`"not closed`:                           "a quote is not closed",
		`company:"not closed`:                   "a quote is not closed",
		"***":                                   "neither a letter nor a digit",
		strings.Repeat("a ", 65):                "65 parts; at most 64",
		"tag:" + strings.Repeat("a,", 64) + "a": "65 parts; at most 64",
		"a* b* c* d* e*":                        "5 words with *; at most 4",
		"-a* company:b*,c* source:d* id:12ab*":  "5 words with *; at most 4",
		strings.Repeat("a", 4097):               "4097 bytes long; at most 4096",
	} {
		_, err := local.ParseQuery(text, noon)
		var mistake *local.QueryError
		if !errors.As(err, &mistake) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestQueriesThatAreOdd(t *testing.T) {
	for _, text := range []string{
		"", " \t\u00a0 ", "a b", `""`, `"" a`, "- a", "--a", "a-b", "http://x", "a::b", "12:30", ":x", "-a", `-"a b"`, "x,y", "a*", "*a", "a**",
		"NEAR(a b)", "a AND b OR NOT c", "{text}:x y", `col"umn`, "^a", "a + b", "a)", "' a", "; DROP TABLE events", "é*", "type:Scanner::Site",
		`company:"a,b"`, "id:*", "id:abc*", "since:1h", "*** a", "a\x00b",
	} {
		if _, err := local.ParseQuery(text, noon); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// FuzzQuery: whatever somebody writes is a query or a mistake that is told; the
// database never finds fault with it. An event is found by its own words.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{
		"login -test", `"a b"`, "risk:high,low state:x", "a*", "company:\"x\" since:7d", "NEAR(a b, 2)", "text:x", "-risk:info", "\xff\x00\"", "id:0a1b*",
		"a OR b", "since:2026-06-19 until:now", "*", "\u0301a", "日本", "😀 *", "\u202e-x", "-\u00ad*", "a:b", "{a}: b",
	} {
		f.Add(seed)
	}
	r := newRig(f)
	r.searched()
	f.Fuzz(func(t *testing.T, text string) {
		q, err := local.ParseQuery(text, noon)
		if err != nil {
			var mistake *local.QueryError
			if !errors.As(err, &mistake) {
				t.Errorf("%q: %v is no QueryError", text, err)
			}
			return
		}
		if _, _, err := r.Events(context.Background(), q, local.Page{Limit: 10}); err != nil {
			t.Errorf("events: %q: %v", text, err)
		}
		if _, _, _, err := r.Records(context.Background(), q, local.RecordPage{Limit: 10, Most: 100, Severity: true}); err != nil {
			t.Errorf("records: %q: %v", text, err)
		}
	})
}

// FuzzStore: whatever a webhook has in it is stored as it is, found by its id and by
// the record's, and its state is there.
func FuzzStore(f *testing.F) {
	for _, seed := range []string{"plain", "\x00", "\xff\xfe", `quote " and \ back`, "<script>alert(1)</script>", "\u202e\u2028", "' OR 1=1 --", strings.Repeat("long ", 3000), "😀\U0010ffff", "a/b%2Fc"} {
		f.Add(seed, seed)
	}
	sequence := 0
	r := newRig(f)
	f.Fuzz(func(t *testing.T, id, text string) {
		sequence++
		message := clone(r.message(sequence, threat(id, "update", "title", text, "description", text, "note_message", text, "company_id", text, "state", text)))
		r.t = t
		r.must(r.Send(context.Background(), append(r.batch[:0], message)))
		e, err := r.Event(context.Background(), message.ID)
		if err != nil || string(e.Document) != string(message.Body) || e.Key != message.Key {
			t.Fatalf("%q %q: %v, stored %q, want %q", id, text, err, e.Document, message.Body)
		}
		if len(message.State) == 0 {
			return
		}
		record, timeline, err := r.Record(context.Background(), message.Key, 10)
		if err != nil || record.Key != message.Key || len(timeline) == 0 || timeline[0].ID != message.ID {
			t.Errorf("%q %q: %v, %+v", id, text, err, record)
		}
	})
}

// TestPages: pages put together are the whole, without a gap and without a repeat, for
// events and records, in every order.
func TestPages(t *testing.T) {
	r := newRig(t)
	tr := newTraffic(r)
	tr.fill(400)
	for _, text := range []string{"", "risk:high,critical", "-server"} {
		q, err := local.ParseQuery(text, noon.Add(time.Hour))
		r.must(err)
		whole := r.find(text)
		var got []uint64
		for p, more := (local.Page{Limit: 7}), true; more; {
			var events []local.Event
			events, more, err = r.Events(context.Background(), q, p)
			r.must(err)
			for _, e := range events {
				got = append(got, e.Sequence)
				p.Before = e.Number
			}
		}
		same(t, text, whole, got)
		got = nil
		for p, more := (local.Page{Limit: 9, After: 1}), true; more; {
			var events []local.Event
			events, more, err = r.Events(context.Background(), q, p)
			r.must(err)
			for _, e := range events {
				got = append([]uint64{e.Sequence}, got...)
				p.After = e.Number
			}
		}
		if whole[len(whole)-1] == 1 {
			whole = whole[:len(whole)-1]
		}
		same(t, text+" after 1", whole, got)
		for _, severity := range []bool{false, true} {
			p := local.RecordPage{Limit: 1000, Most: 10_000, Severity: severity}
			all, next, total, err := r.Records(context.Background(), q, p)
			r.must(err)
			if next != "" || total != len(all) {
				t.Errorf("%s: %d of %d, next %q", text, len(all), total, next)
			}
			var keys, paged []string
			for _, x := range all {
				keys = append(keys, x.Key)
			}
			for p.Limit, p.Cursor = 11, ""; ; {
				records, next, _, err := r.Records(context.Background(), q, p)
				r.must(err)
				for _, x := range records {
					paged = append(paged, x.Key)
				}
				if p.Cursor = next; next == "" {
					break
				}
			}
			same(t, text+" records", keys, paged)
		}
	}
	for _, cursor := range []string{"x", "1", "1.x", "-1.-1", "1.2.3"} {
		var mistake *local.QueryError
		if _, _, _, err := r.Records(context.Background(), local.Query{}, local.RecordPage{Limit: 1, Cursor: cursor}); !errors.As(err, &mistake) {
			t.Errorf("cursor %q: %v", cursor, err)
		}
	}
}

func same[T comparable](t *testing.T, what string, want, got []T) {
	t.Helper()
	if len(want) != len(got) {
		t.Errorf("%s: %d in pages, %d in all", what, len(got), len(want))
		return
	}
	for i := range want {
		if want[i] != got[i] {
			t.Errorf("%s: number %d is %v, want %v", what, i, got[i], want[i])
			return
		}
	}
}
