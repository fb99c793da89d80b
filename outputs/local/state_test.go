package local_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/local"
)

// modelled is what a record must be, by the rules in the words of package local.
type modelled struct {
	event       string
	version     int // of the state; 0 for a creation
	state, note string
	noted       int // the version of the note
	description string
}

// happening is an event of the model.
type happening struct {
	sequence           int
	record, trigger    string
	state, note, about string
}

func (h happening) version() int {
	if h.trigger == "create" {
		return 0
	}
	return h.sequence
}

// apply changes the model as an event that is sent for the first time, or to overwrite.
func apply(m map[string]*modelled, h happening, overwrite bool) {
	was := m[h.record]
	is := modelled{event: fmt.Sprint(h.sequence), version: h.version(), state: h.state, description: h.about}
	switch {
	case was == nil:
	case h.version() > was.version, overwrite && h.version() == was.version && was.event == is.event:
		is.note, is.noted = was.note, was.noted
		if is.description == "" {
			is.description = was.description
		}
	default:
		is = *was
		if is.description == "" {
			is.description = h.about
		}
	}
	if h.note != "" {
		stale := was != nil && (h.version() < was.noted || h.version() == 0 && was.version > 0)
		if is.note == "" || !stale {
			is.note, is.noted = h.note, h.version()
		}
	}
	m[h.record] = &is
}

// webhook is the event's body.
func (h happening) webhook() string {
	more := []string{"state", h.state, "description", h.about}
	if h.note != "" {
		more = append(more, "note_message", h.note, "note_created_by", "A")
	}
	return threat(h.record, h.trigger, more...)
}

// TestStatesModel: whatever comes, in whatever order, again and again, in whatever
// batches, also when the database is closed in between, records are what the rules
// say, and every event is there once.
func TestStatesModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(t)
		defer r.close()
		model, sent := map[string]*modelled{}, map[int]bool{}
		all := make([]happening, rapid.IntRange(1, 25).Draw(rt, "events"))
		for i := range all {
			h := happening{sequence: i + 1, record: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "record")}
			h.trigger = rapid.SampledFrom([]string{"create", "update", "update", "closed", "reopen"}).Draw(rt, "trigger")
			h.state = rapid.SampledFrom([]string{"detected", "assigned", "remediated", "false_positive"}).Draw(rt, "state")
			if rapid.Bool().Draw(rt, "noted") {
				h.note = fmt.Sprint("note ", i)
			}
			if rapid.Bool().Draw(rt, "described") {
				h.about = fmt.Sprint("described ", i)
			}
			all[i] = h
		}
		for range rapid.IntRange(1, 12).Draw(rt, "batches") {
			var batch []outputs.Message
			overwrite := rapid.IntRange(0, 3).Draw(rt, "overwrite") == 0
			for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(all)-1), 1, 6).Draw(rt, "batch") {
				m := clone(r.message(i+1, all[i].webhook()))
				m.Overwrite = overwrite
				batch = append(batch, m)
				if !sent[i] || overwrite {
					apply(model, all[i], overwrite)
				}
				sent[i] = true
			}
			r.must(r.Send(context.Background(), batch))
			if rapid.IntRange(0, 4).Draw(rt, "restart") == 0 {
				r.close()
				r.open()
			}
		}
		got, want := map[string]modelled{}, map[string]modelled{}
		for _, x := range r.records("") {
			got[x.ID] = modelled{state: x.State, note: x.Note, description: x.Description}
		}
		for id, m := range model {
			want[id] = modelled{state: m.state, note: m.note, description: m.description}
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(modelled{})); diff != "" {
			rt.Errorf("records (-want +got):\n%s", diff)
		}
		if events := r.find(""); len(events) != len(sent) {
			rt.Errorf("%d events are stored, %d were sent", len(events), len(sent))
		}
		for id := range model { // the index agrees with the table
			if n := len(r.records("id:" + id)); n != 1 {
				rt.Errorf("record %s is found %d times", id, n)
			}
		}
	})
}

// TestOverwriteReplaces: an event that is to overwrite is found as it is now, and by
// what it was no more.
func TestOverwriteReplaces(t *testing.T) {
	r := newRig(t)
	r.send(1, threat("a", "create", "title", "former words", "risk", "low"), threat("b", "create"))
	m := clone(r.message(1, threat("a", "create", "title", "latter words", "risk", "critical")))
	r.must(r.Send(context.Background(), []outputs.Message{m}))
	if got := r.find("former risk:low"); len(got) != 1 {
		t.Errorf("without overwrite it was replaced: %v", got)
	}
	m.Overwrite = true
	r.must(r.Send(context.Background(), []outputs.Message{m}))
	if former, latter := r.find("former"), r.find("latter risk:critical"); len(former) != 0 || len(latter) != 1 {
		t.Errorf("former %v, latter %v", former, latter)
	}
	if former, latter := r.records("former"), r.records("latter risk:critical"); len(former) != 0 || len(latter) != 1 {
		t.Errorf("records: former %v, latter %v", former, latter)
	}
	r.pass(time.Minute)
	o, err := r.Overview(context.Background(), "", time.Hour)
	r.must(err)
	total := [5]int{}
	for _, b := range o.Buckets {
		for i, n := range b.Events {
			total[i] += n
		}
	}
	if want := [5]int{0, 0, 0, 1, 1}; total != want || o.Events != 2 {
		t.Errorf("%v of %d events, want %v", total, o.Events, want)
	}
}

// TestAnEarlierSpool: a spool that was begun anew counts from 1 again. Its events are
// others, come after those that are there, and are one each.
func TestAnEarlierSpool(t *testing.T) {
	r := newRig(t)
	r.send(1, threat("a", "create"), threat("b", "create"), threat("c", "create"))
	var batch []outputs.Message
	for i := range 3 {
		m := clone(r.message(i+1, threat("n"+fmt.Sprint(i), "create", "title", "new")))
		m.ID, m.Accepted = strings.Repeat("f", 31)+fmt.Sprint(i), m.Accepted.Add(time.Hour)
		batch = append(batch, m)
	}
	r.must(r.Send(context.Background(), batch[:2]))
	r.close()
	r.open()
	r.must(r.Send(context.Background(), batch))
	r.send(1, threat("a", "create"), threat("b", "create"), threat("c", "create")) // a late replay of the old ones
	events, _, err := r.Events(context.Background(), local.Query{}, local.Page{Limit: 10})
	r.must(err)
	var got []string
	for _, e := range events {
		got = append(got, fmt.Sprint(e.Number, " ", e.Record))
		current, err := r.Current(context.Background(), e)
		r.must(err)
		if want := strings.HasPrefix(e.Record, "n"); current != want {
			t.Errorf("%s of the current spool: %v, want %v", e.Record, current, want)
		}
	}
	if diff := cmp.Diff([]string{"6 n2", "5 n1", "4 n0", "3 c", "2 b", "1 a"}, got); diff != "" {
		t.Error(diff)
	}
	// Also where the old ones are gone already.
	if found := r.find("since:2026-06-19T12:30:00Z new"); len(found) != 3 {
		t.Errorf("found %v", found)
	}
}

// TestReplayFillsAGap: events that come late are where they belong.
func TestReplayFillsAGap(t *testing.T) {
	r := newRig(t)
	r.send(5, threat("e", "create"), threat("f", "create"))
	r.send(1, threat("a", "create"), threat("b", "create"), threat("c", "create"), threat("d", "create"), threat("e", "create"))
	if diff := cmp.Diff([]uint64{6, 5, 4, 3, 2, 1}, r.find("")); diff != "" {
		t.Error(diff)
	}
}
