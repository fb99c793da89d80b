package relay_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/siemrelay/siemrelay/internal/relay"
	"github.com/siemrelay/siemrelay/mappings"
	"github.com/siemrelay/siemrelay/normalize"
)

// TestFilter: every name, on the events of a threat and a ticket.
func TestFilter(t *testing.T) {
	threat := normalize.Event{
		Kind: "threat", Action: "threat-created", State: "detected", Status: "open", Severity: 73,
		Source: "Vulnerability scanner", Company: "17", Trigger: "create", Tags: []string{"defensecom-threat", "forwarded"},
	}
	for text, want := range map[string]bool{
		`true`:                                    true,
		`false`:                                   false,
		`kind == "threat" && severity >= 47`:      true,
		`kind == "ticket" || severity < 47`:       false,
		`action == "threat-created"`:              true,
		`state in ["detected", "triaged"]`:        true,
		`status != "closed"`:                      true,
		`source matches "(?i)^vulnerability"`:     true,
		`source contains "Dark web"`:              false,
		`company == "17"`:                         true,
		`trigger == "create"`:                     true,
		`"forwarded" in tags`:                     true,
		`any(tags, # startsWith "defensecom_")`:   false,
		`len(tags) == 2 and not (severity == 99)`: true,
		"kind == \"threat\"\n&& // a comment\nlower(source) startsWith 'vuln'": true,
	} {
		f, err := relay.ParseFilter(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		for range 3 { // it is used again and again
			if got := f.Match(&threat); got != want {
				t.Errorf("%s is %v, want %v", text, got, want)
			}
		}
	}
	if f, err := relay.ParseFilter(" \n"); err != nil || !f.Match(&threat) {
		t.Errorf("without a filter there is the error %v, or not every event matches", err)
	}
}

// TestFilterMistakes: each is found when the filter is read, with its place.
func TestFilterMistakes(t *testing.T) {
	for text, want := range map[string]string{
		`// nothing`:                           "line 1, column ",
		`kind == `:                             "line 1, column 8: ",
		`kind == "threat" && risk == "high"`:   "line 1, column 21: unknown name risk; there are kind, action,",
		"kind == \"ünï\"\n  && severity > 'x'": "line 2, column 15: ",
		`severity`:                             "line 1, column 1: expected bool",
		`tags[0]`:                              "line 1, column 1: expected bool",
		`$env["kind"]`:                         "line 1, column 1: expected bool",
		`kind matches "("`:                     "line 1, column 6: ",
		`now() > date("2026-01-01")`:           "line 1, column 1: unknown name now",
		`repeat(kind, 1000000) == ""`:          "line 1, column 1: unknown name repeat",
		`any(1..1000000, # == severity)`:       "line 1, column 6: a range is not allowed",
		`let a = source + source; a == ""`:     "line 1, column 5: a variable is not allowed",
		`any(tags, any(tags, # == kind))`:      "a loop inside a loop is not allowed",
		strings.Repeat("(", 100_000):           "line 1, column ",
		strings.Repeat("kind + ", 5000) + "''": "line 1, column ",
	} {
		_, err := relay.ParseFilter(text)
		var wrong *relay.FilterError
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, want %q", text, err, want)
		} else if strings.ContainsAny(wrong.Text, "\n|") || wrong.Line < 1 || wrong.Column < 1 {
			t.Errorf("%.40s: %+v, want one line and a place", text, wrong)
		}
	}
}

// TestFilterInDoubt: an event is sent if the filter can't tell, or if nobody could
// tell what the event is about.
func TestFilterInDoubt(t *testing.T) {
	for text, e := range map[string]normalize.Event{
		`tags[7] == "x"`:     {Kind: "threat"},
		`100 % severity > 0`: {Kind: "threat"},
		`kind == "threat"`:   {Kind: "other", EventKind: "pipeline_error"},
	} {
		f, err := relay.ParseFilter(text)
		if err != nil {
			t.Fatal(err)
		}
		if !f.Match(&e) {
			t.Errorf("%s drops an event though it fails", text)
		}
	}
}

// TestFilterOfARelay: what does not match is not sent and is counted; a filter that
// fails is in the log once and in the metrics each time, and keeps nothing back.
func TestFilterOfARelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raws := events(6)
		for _, i := range []int{0, 2, 5} {
			raws[i].Body = []byte(strings.Replace(string(raws[i].Body), "17", "18", 1))
		}
		r := start(t, newSource(raws...), &output{}, withFilter(t, `company == "17" || tags[severity] == "x"`))
		r.wantDelivered(upTo(6)...)
		if n := r.metric("siemrelay_output_filter_errors_total"); n != 3 {
			t.Errorf("%v errors of the filter were counted, want 3", n)
		}
		r.wantLines(1, "reason=filter")
		r.wantState("ok")
		r.end()

		r = start(t, newSource(raws...), &output{}, withFilter(t, `company == "17"`))
		r.wantDelivered(2, 4, 5)
		r.wantSettled(3, 3, 0)
		r.wantCursor(7)
		r.end()
	})
}

// TestManyFilteredEvents: their cursor moves though nothing is ever sent: when
// Batch.MaxEvents went by, or after Batch.MaxWait.
func TestManyFilteredEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(events(25)...)
		r := start(t, s, &output{}, withFilter(t, `company == "18"`), func(o *relay.Options) { o.Batch.MaxWait = time.Minute })
		r.wantCursor(21)
		r.after(59 * time.Second)
		r.wantCursor(21)
		r.after(time.Second)
		r.wantSettled(0, 25, 0)
		r.wantCursor(26)
		r.wantSent()
		if n := r.metric("siemrelay_output_batches_total"); n != 0 {
			t.Errorf("%v batches are counted, and nothing was sent", n)
		}
		s.add(event(26, "a", "x"))
		synctest.Wait()
		r.end() // what was left out until then is committed
		r.wantSettled(0, 26, 0)
	})
}

// TestFilteredEventsMakeNoSmallBatches: a batch is not cut short by what it leaves out.
func TestFilteredEventsMakeNoSmallBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raws := events(400)
		for i := range raws {
			if i%20 != 0 {
				raws[i].Body = []byte(strings.Replace(string(raws[i].Body), "17", "18", 1))
			}
		}
		r := start(t, newSource(raws...), &output{}, withFilter(t, `company == "17"`), func(o *relay.Options) { o.Batch.MaxWait = time.Minute })
		if got := r.output.sent(); len(got) != 2 || len(got[0]) != 10 || len(got[1]) != 10 {
			t.Errorf("20 of 400 events were sent as %v, want two full batches", got)
		}
		r.end()
		r.wantSettled(20, 380, 0)
	})
}

func withFilter(tb testing.TB, text string) func(o *relay.Options) {
	tb.Helper()
	f, err := relay.ParseFilter(text)
	if err != nil {
		tb.Fatal(err)
	}
	return func(o *relay.Options) { o.Filter = f }
}

// FuzzFilter: any text is taken or refused with a place in it, and no event makes
// what is taken panic or loop.
func FuzzFilter(f *testing.F) {
	for _, text := range []string{
		`kind == "threat" && severity >= 47`, `any(tags, # startsWith "x")`, "a\n+\n\"é", `tags[severity] matches source`,
		`{"a": 1}["a"] == severity ?? true`, `kind | upper() == "X"`, `all(tags, {len(#) > 3})`, `tags[1:2] == ["x"]`,
	} {
		f.Add(text)
	}
	m := mapping(f)
	f.Fuzz(func(t *testing.T, text string) {
		filter, err := relay.ParseFilter(text)
		if err != nil {
			var wrong *relay.FilterError
			if !errors.As(err, &wrong) || wrong.Line < 1 || wrong.Line > 1+strings.Count(text, "\n") || wrong.Column < 1 {
				t.Errorf("the error %v has no place in the text", err)
			}
			return
		}
		var e normalize.Event
		for _, s := range mappings.Samples() {
			m.Event(&e, normalize.Raw{ID: fmt.Sprintf("%032x", 1), Body: s.Body})
			filter.Match(&e)
		}
	})
}

func BenchmarkFilter(b *testing.B) {
	m := mapping(b)
	var e normalize.Event
	m.Event(&e, normalize.Raw{ID: fmt.Sprintf("%032x", 1), Body: mappings.Samples()[0].Body})
	for _, text := range []string{`severity >= 47`, `kind == "threat" && severity >= 47`, `any(tags, # == "x")`, `source matches "scanner$"`} {
		b.Run(text, func(b *testing.B) {
			f, err := relay.ParseFilter(text)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				f.Match(&e)
			}
		})
	}
}
