package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// lab is a relay that a test sends single webhooks to, and whose ECS output it reads.
type lab struct {
	*endtoend.Rig
	t       *testing.T
	process *endtoend.Process
	sender  *endtoend.Client
}

func openLab(t *testing.T, s endtoend.Setup) *lab {
	t.Helper()
	s.Binary = binary
	if s.Outputs == nil {
		s.Outputs = []endtoend.Output{{Format: "ecs"}}
	}
	return openLabOf(t, s)
}

// openLabOf opens one of a setup that is complete.
func openLabOf(t *testing.T, s endtoend.Setup) *lab {
	t.Helper()
	d := &lab{Rig: endtoend.NewRig(t, s), t: t}
	d.start()
	return d
}

func (d *lab) start() {
	d.t.Helper()
	d.process = d.Start()
	d.sender = d.Client()
}

// restart ends the process, by kill -9 or in order, and starts it again.
func (d *lab) restart(killed bool) {
	d.t.Helper()
	d.end(killed)
	d.start()
}

func (d *lab) end(killed bool) {
	d.t.Helper()
	if killed {
		kill(d.t, d.process)
	} else {
		d.Stop(d.process)
	}
}

// post sends a webhook, which has to be accepted, and returns the answer.
func (d *lab) post(body string) endtoend.Answer {
	d.t.Helper()
	answer, err := d.sender.Post([]byte(body))
	if err != nil || !answer.Accepted() || len(answer.ID) != 32 {
		d.t.Fatalf("%s got %+v, %v", body, answer, err)
	}
	return answer
}

// lose sends a webhook and loses its answer.
func (d *lab) lose(body string, how endtoend.Loss) {
	d.t.Helper()
	if err := d.sender.Lose([]byte(body), how); err != nil {
		d.t.Fatal(err)
	}
}

// document is one event in the ECS output.
type document struct {
	Event struct {
		ID       string
		Code     string
		Sequence uint64
		Original string
	}
	Message    string
	Tags       []string
	Defensecom struct {
		Threat, Ticket struct{ ID, Source string }
	}
	Organization struct{ ID, Name string }
	DataStream   struct{ Namespace string } `json:"data_stream"`
}

func (d document) record() string { return d.Defensecom.Threat.ID + d.Defensecom.Ticket.ID }

func (d document) tagged(tag string) bool { return slices.Contains(d.Tags, tag) }

// documents returns what an output of the format ecs has, each line of it.
func (d *lab) documents(output int) []document {
	d.t.Helper()
	text, err := os.ReadFile(d.Outputs[output].Path)
	if err != nil && !os.IsNotExist(err) {
		d.t.Fatal(err)
	}
	var all []document
	for line := range strings.Lines(string(text)) {
		var doc document
		if err := json.Unmarshal([]byte(line), &doc); err != nil {
			d.t.Fatalf("%s: %v: %s", d.Outputs[output].Path, err, line)
		}
		all = append(all, doc)
	}
	return all
}

// delivered waits until everything is, and returns what the first output has.
func (d *lab) delivered() []document {
	d.t.Helper()
	d.AwaitDrained()
	return d.documents(0)
}

// story is what one record's webhooks were and what is to come of them.
type story struct {
	name string
	// send plays the sender. Everything else about a webhook but what it is called with
	// is the same in every call.
	send func(s *sent)
	// want are the triggers of the events, each with ? behind it if it is tagged as
	// what may be a retry.
	want string
}

// sent plays one record's sender.
type sent struct {
	*lab
	record string
	more   string // what stands in the body besides trigger and record
	ids    []string
}

func (s *sent) body(trigger string) string {
	return fmt.Sprintf(`{"record_type":"Threat","id":%q,"company_id":"c-1","title":"T","trigger_action":%q%s}`, s.record, trigger, s.more)
}

// answered sends a webhook and notes the id of the answer.
func (s *sent) answered(trigger string) endtoend.Answer {
	s.t.Helper()
	a := s.post(s.body(trigger))
	s.ids = append(s.ids, a.ID)
	return a
}

// again sends a webhook that has to be known as the one with that id.
func (s *sent) again(trigger, id string) {
	s.t.Helper()
	if a := s.post(s.body(trigger)); !a.Duplicate || a.ID != id {
		s.t.Errorf("%s: %s again got %+v, want a duplicate of %s", s.record, trigger, a, id)
	}
}

// cut sends a webhook whose answer gets lost.
func (s *sent) cut(trigger string, how endtoend.Loss) { s.t.Helper(); s.lose(s.body(trigger), how) }

const withNote = `,"note_message":"N","note_created_at":"2026-06-19T10:00:00Z"`

// stories are all about rule 1, and about what is no retry. Rule 2 takes 30 s of the
// relay's own clock: see TestRetryOfUnanswered, and for every time that matters the
// table in the tests of the spool, whose clock is a fake.
var stories = []story{
	{"create cut three times, update between, restarts", func(s *sent) {
		s.cut("create", endtoend.Unread)
		first := s.post(s.body("create")).ID
		s.answered("update")
		s.cut("create", endtoend.Reset)
		s.again("create", first)
		s.restart(true)
		s.cut("create", endtoend.Closed)
		s.again("create", first)
		s.restart(false)
		s.cut("create", endtoend.Unread)
		s.again("create", first)
	}, "create update"},
	{"the kill comes before the answer is read", func(s *sent) {
		s.cut("create", endtoend.Unread)
		s.restart(true)
		s.again("create", s.post(s.body("create")).ID)
	}, "create"},
	{"a note again after everything else and two kills", func(s *sent) {
		s.more = withNote
		id := s.answered("update").ID
		s.restart(true)
		s.more = ""
		s.answered("closed")
		s.restart(true)
		s.more = withNote
		s.again("update", id)
	}, "note closed"},
	{"closed twice, both answered", func(s *sent) { s.answered("closed"); s.answered("closed") }, "closed closed?"},
	{"closed, reopened, closed", func(s *sent) {
		s.answered("closed")
		s.answered("reopen")
		s.answered("closed")
	}, "closed reopen closed?"},
	{"an update without a note, twice", func(s *sent) {
		s.more = `,"note_created_at":null`
		s.answered("update")
		s.answered("update")
	}, "update update?"},
	{"an update whose note has no time, twice", func(s *sent) {
		s.more = `,"note_message":"N","note_created_at":""`
		s.answered("update")
		s.answered("update")
	}, "note note?"},
	// Too soon for the sender's retry, and the kill forgets nothing that matters.
	{"closed cut, again at once", func(s *sent) {
		s.cut("closed", endtoend.Unread)
		s.answered("closed")
	}, "closed closed?"},
	{"closed killed, again at once", func(s *sent) {
		s.answered("closed")
		s.restart(true)
		s.answered("closed")
	}, "closed closed?"},
	{"closed, a restart in order, closed", func(s *sent) {
		s.answered("closed")
		s.restart(false)
		s.answered("closed")
	}, "closed closed?"},
	{"two creates that differ", func(s *sent) {
		s.answered("create")
		s.more = `,"risk":"high"`
		s.answered("create")
		s.more = ""
		s.again("create", s.ids[0])
	}, "create create"},
	{"another spelling is another body", func(s *sent) {
		s.answered("create")
		s.more = " "
		s.answered("create")
	}, "create create"},
}

// TestRetryOrRepeat tells each story to one relay, one after the other.
func TestRetryOrRepeat(t *testing.T) {
	d := openLab(t, endtoend.Setup{})
	for i, story := range stories {
		s := &sent{lab: d, record: fmt.Sprintf("story-%d", i)}
		t.Run(story.name, func(t *testing.T) {
			d.t, s.t = t, t
			story.send(s)
			var got []string
			var ids []string
			for _, doc := range d.delivered() {
				if doc.record() != s.record || slices.Contains(ids, doc.Event.ID) {
					continue // a kill may have it sent to the output again
				}
				ids = append(ids, doc.Event.ID)
				trigger := strings.TrimPrefix(doc.Event.Code, "threat.")
				if doc.tagged("defensecom_possible_retry") {
					trigger += "?"
				}
				got = append(got, trigger)
			}
			if got := strings.Join(got, " "); got != story.want {
				t.Errorf("the events are %q, want %q", got, story.want)
			}
			for _, id := range s.ids {
				if !slices.Contains(ids, id) {
					t.Errorf("a webhook was answered with the id %s; the events are %s", id, ids)
				}
			}
		})
	}
	d.t = t
	d.Stop(d.process)
}

// TestUnidentified: what has no usable id is never a retry, whatever it is.
func TestUnidentified(t *testing.T) {
	d := openLab(t, endtoend.Setup{})
	ids := map[string]bool{}
	for _, id := range []string{``, `"id":null,`, `"id":"",`, `"id":[1],`} {
		for range 2 {
			ids[d.post(`{`+id+`"record_type":"Threat","company_id":"c-1","trigger_action":"create"}`).ID] = true
		}
	}
	if n := len(d.delivered()); n != 8 || len(ids) != 8 {
		t.Errorf("%d events with %d ids, want 8", n, len(ids))
	}
}

// TestRetriesOff: with retry_window 0 every delivery is an event of its own.
func TestRetriesOff(t *testing.T) {
	d := openLab(t, endtoend.Setup{RetryWindow: "0"})
	s := &sent{lab: d, record: "r"}
	first, second := s.answered("create"), s.answered("create")
	if second.Duplicate || first.ID == second.ID {
		t.Errorf("the second got %+v, the first %+v", second, first)
	}
	docs := d.delivered()
	if len(docs) != 2 || docs[1].tagged("defensecom_possible_retry") {
		t.Errorf("%+v, want two events without a tag", docs)
	}
}

// TestOneNoteTwentyTimesAtOnce: the same webhook on 20 connections is one event, and
// all of them get its id.
func TestOneNoteTwentyTimesAtOnce(t *testing.T) {
	const connections, notes = 20, 20
	d := openLab(t, endtoend.Setup{})
	var clients []*endtoend.Client
	for range connections {
		c := d.Client()
		if err := c.Dial(); err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	for n := range notes {
		s := &sent{lab: d, record: fmt.Sprintf("note-%d", n), more: withNote}
		var answers [connections]endtoend.Answer
		var errs [connections]error
		var all sync.WaitGroup
		for i, c := range clients {
			all.Go(func() { answers[i], errs[i] = c.Post([]byte(s.body("update"))) })
		}
		all.Wait()
		duplicates := 0
		for i, a := range answers {
			if errs[i] != nil || a.Status != 200 || a.ID != answers[0].ID {
				t.Errorf("note %d: connection %d got %+v, %v; the first %+v", n, i, a, errs[i], answers[0])
			}
			if a.Duplicate {
				duplicates++
			}
		}
		if duplicates != connections-1 {
			t.Errorf("note %d: %d answers say duplicate, want %d", n, duplicates, connections-1)
		}
	}
	if docs := d.delivered(); len(docs) != notes {
		t.Errorf("%d events, want %d", len(docs), notes)
	}
	d.AwaitAccount("ecs", endtoend.Account{Entered: notes, Delivered: notes})
}

// TestRetryWhileFull: what is stored gets its 200 also when nothing new can be.
func TestRetryWhileFull(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "blocked")
	if err := os.Mkdir(blocked, 0o700); err != nil {
		t.Fatal(err)
	}
	d := openLab(t, endtoend.Setup{MaxSize: "4MiB", Outputs: []endtoend.Output{{Format: "ecs", Path: blocked}}})
	first := &sent{lab: d, record: "first", more: `,"state":"detected"`}
	id := first.answered("create").ID
	accepted := int64(1)
	d.Eventually("the spool is full", func() bool {
		a, err := d.sender.Post(fmt.Appendf(nil, `{"record_type":"Threat","id":"%d","trigger_action":"create","title":%q}`, accepted, strings.Repeat("x", 20_000)))
		if err != nil {
			t.Fatal(err)
		}
		if a.Accepted() {
			accepted++
		}
		return a.Status == 503 && a.RetryAfter != ""
	})
	first.again("create", id)
	d.restart(true)
	if a, err := d.sender.Post(fmt.Appendf(nil, `{"record_type":"Threat","id":"new","title":%q}`, strings.Repeat("x", 20_000))); err != nil || a.Status != 503 {
		t.Errorf("a new webhook got %+v, %v after the start: the spool is not full", a, err)
	}
	first.again("create", id)
	d.AwaitAccount("ecs", endtoend.Account{Entered: accepted, Pending: accepted})
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	d.AwaitAccount("ecs", endtoend.Account{Entered: accepted, Delivered: accepted})
}

// TestRetryOfUnanswered is rule 2, which needs 30 s of the relay's own clock: what
// was accepted just before a kill is unanswered, so that the same again is its
// retry; what was accepted before a stop in order is not.
func TestRetryOfUnanswered(t *testing.T) {
	t.Parallel() // it hardly does anything
	killed, stopped := openLab(t, endtoend.Setup{}), openLab(t, endtoend.Setup{})
	story := func(d *lab, record string) *sent { return &sent{lab: d, record: record} }
	first := map[*lab]string{}
	for _, d := range []*lab{killed, stopped} {
		first[d] = story(d, "last").answered("closed").ID
		story(d, "overtaken").answered("closed")
		story(d, "overtaken").answered("reopen")
		d.restart(d == killed)
	}
	time.Sleep(31 * time.Second) // the least wait of the sender is a minute
	story(killed, "last").again("closed", first[killed])
	time.Sleep(time.Second)
	for range 2 { // answered now, and not long ago
		if a := story(killed, "last").answered("closed"); a.Duplicate {
			t.Errorf("a repeat of what was answered got %+v", a)
		}
	}
	if a := story(killed, "overtaken").answered("closed"); a.Duplicate {
		t.Errorf("a repeat after another event got %+v", a)
	}
	if a := story(stopped, "last").answered("closed"); a.Duplicate {
		t.Errorf("a repeat after a stop in order got %+v", a)
	}
	for d, want := range map[*lab]int{killed: 6, stopped: 4} {
		ids := map[string]bool{}
		for _, doc := range d.delivered() {
			ids[doc.Event.ID] = true
		}
		if len(ids) != want {
			t.Errorf("%d events, want %d", len(ids), want)
		}
	}
}
