package elasticsearch_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/elasticsearch/elasticsearchtest"
)

// step is one event of a record's life.
type step struct{ trigger, state, more, note string }

// lifeSteps are those of a threat: with a note in the middle, and a late retry of the
// creation at the end.
func lifeSteps() []step {
	return []step{
		{"create", "detected", "", ""},
		{"update", "assigned", "", ""},
		{"update", "assigned", note("looking at it"), "looking at it"},
		{"closed", "remediated", "", ""},
		{"reopen", "detected", "", ""},
		{"closed", "risk_accepted", "", ""},
		{"create", "detected", "", ""},
	}
}

// life is what a record's latest state must be.
type life struct {
	id, action, state, note string
	sequence                uint64
}

// after is the life after an event was accepted.
func (l life) after(m outputs.Message, s step) life {
	if s.note != "" {
		l.note = s.note
	}
	if s.trigger == "create" && l.sequence > 0 {
		return l
	}
	l.id, l.action, l.state, l.sequence = m.ID, m.Trigger, s.state, m.Sequence
	return l
}

func (l life) check(tb testing.TB, source []byte) {
	tb.Helper()
	got := fmt.Sprint(field(tb, source, "event", "id"), field(tb, source, "defensecom", "threat", "state"), field(tb, source, "defensecom", "note", "message"))
	want := fmt.Sprint(l.id, any(l.state), any(nil))
	if l.note != "" {
		want = fmt.Sprint(l.id, any(l.state), any(l.note))
	}
	if got != want {
		tb.Errorf("the latest state is %s, want %s: %s", got, want, source)
	}
}

// TestLatest: records live in random batches with random trouble, everything is sent
// again at some time, and each record's document shows its last accepted state and
// its last note.
func TestLatest(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := newDice(seed)
			server := elasticsearchtest.New(t)
			c := configOf(server)
			c.Latest = true
			out := newOutput(t, c)
			server.Refuse(trouble(r))
			m := newMaker(t)
			want, progress := map[string]life{}, map[int]int{}
			var events []outputs.Message
			for range 60 * len(lifeSteps()) {
				i := r.IntN(60)
				if progress[i] == len(lifeSteps()) {
					continue
				}
				s := lifeSteps()[progress[i]]
				progress[i]++
				x := m.message(threat(fmt.Sprint("t", i), s.trigger, s.state, s.more))
				want[recordID(x)] = want[recordID(x)].after(x, s)
				events = append(events, x)
			}
			send := func(batch []outputs.Message) {
				if got := deliver(t, out, batch, nil); len(got.refused) > 0 {
					t.Fatalf("refused: %v", got.refused)
				}
			}
			for at := 0; at < len(events); {
				n := min(1+r.IntN(50), len(events)-at)
				send(events[at : at+n])
				at += n
				if from := r.IntN(at); r.IntN(3) == 0 { // as after a crash
					send(events[from:min(from+20, at)])
				}
			}
			send(slices.Clone(events))
			documents := server.Documents("defensecom-latest-threat")
			if len(documents) != len(want) {
				t.Errorf("%d documents for %d records", len(documents), len(want))
			}
			for _, d := range documents {
				want[d.ID].check(t, d.Source)
			}
			if n := len(server.Documents(".ds-")); n != len(events) {
				t.Errorf("%d events, want %d", n, len(events))
			}
		})
	}
}

// trouble refuses some operations for now, and some after it did them.
func trouble(r *dice) func(op elasticsearchtest.Operation) *elasticsearchtest.Refusal {
	return func(elasticsearchtest.Operation) *elasticsearchtest.Refusal {
		switch r.IntN(20) {
		case 0:
			return &elasticsearchtest.Refusal{Status: http.StatusTooManyRequests, Type: "es_rejected_execution_exception", Reason: "full"}
		case 1:
			return &elasticsearchtest.Refusal{Status: http.StatusServiceUnavailable, Type: "unavailable_shards_exception", Reason: "no shard", Applied: true}
		}
		return nil
	}
}

// TestLatestIsOptional: without it nothing but events is written, and states that say
// nothing write nothing.
func TestLatestIsOptional(t *testing.T) {
	server := elasticsearchtest.New(t)
	m := newMaker(t)
	for _, latest := range []bool{false, true} {
		c := configOf(server)
		c.Latest = latest
		batch := []outputs.Message{
			m.message(`{"record_type":"Alarm","id":"1","trigger_action":"update"}`),
			m.message(`{"record_type":"Threat","trigger_action":"update"}`),
			m.message(`{"record_type":"Threat","id":"1","trigger_action":"update","siemrelay_test":true}`),
		}
		if !latest {
			batch = append(batch, m.message(threat("1", "update", "detected", "")))
		}
		if err := newOutput(t, c).Send(context.Background(), batch); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(server.Documents("defensecom-latest")); n > 0 {
		t.Errorf("%d latest states", n)
	}
	if slices.Contains(server.Requests(), "POST /_mget") {
		t.Error("looked up states of nothing")
	}
}
