package local_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/siemrelay/siemrelay/mappings"
	"github.com/siemrelay/siemrelay/normalize"
	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/local"
)

// modelChecks is how often a model is tried: each try makes databases.
const modelChecks = "12"

func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", modelChecks); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// noon is when the first event of a test is accepted, and a second later each other.
var noon = time.Date(2026, 6, 19, 12, 0, 0, 0, time.UTC)

// rig is an output and a reader of one database, with a clock that the test moves.
type rig struct {
	*local.Output
	*local.Reader
	t       testing.TB
	path    string
	c       local.Config
	mapping *normalize.Mapping
	said    *log
	encode  normalize.Encoder
	state   normalize.Encoder
	event   normalize.Event
	batch   []outputs.Message

	mu  sync.Mutex
	now time.Time
}

// log keeps what was said.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newRig(t testing.TB, change ...func(*local.Config)) *rig {
	t.Helper()
	r := &rig{t: t, path: filepath.Join(t.TempDir(), "folder", "events.db"), now: noon, said: &log{}}
	r.c = local.Default()
	r.c.Path = r.path
	for _, f := range change {
		f(&r.c)
	}
	var err error
	r.mapping, err = normalize.ParseMapping(mappings.File, mappings.Defensecom(), normalize.MappingOptions{
		LinkHosts: []string{"my.defense.com"}, Companies: map[string]normalize.Company{"acme": {Name: "Acme Rockets Ltd"}},
	})
	r.must(err)
	r.encode, err = normalize.NewEncoder("ecs", normalize.EncoderOptions{AgentVersion: "1.2.3", Namespace: "default", EventOriginal: true})
	r.must(err)
	r.state = normalize.NewState()
	r.open()
	t.Cleanup(r.close)
	return r
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *rig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

func (r *rig) open() {
	r.t.Helper()
	logger := slog.New(slog.NewTextHandler(r.said, nil))
	var err error
	r.Output, err = local.New(r.c, local.Options{Name: "local", Logger: logger, Now: r.clock})
	r.must(err)
	r.Reader, err = local.NewReader(local.ReaderOptions{Path: r.path, Logger: logger, Now: r.clock})
	r.must(err)
}

func (r *rig) close() {
	r.t.Helper()
	if r.Output != nil {
		r.must(errors.Join(r.Output.Close(), r.Reader.Close()))
	}
	r.Output = nil
}

// message makes what the relay would send of a webhook, the event of a sequence.
func (r *rig) message(sequence int, webhook string) outputs.Message {
	raw := normalize.Raw{
		ID: fmt.Sprintf("%032x", sequence*7919), Sequence: uint64(sequence), Accepted: noon.Add(time.Duration(sequence) * time.Second), Body: []byte(webhook),
	}
	e := &r.event
	r.mapping.Event(e, raw)
	return outputs.Message{
		ID: raw.ID, Key: e.Key + "", Kind: e.Kind, Company: e.Company + "", Namespace: "default", Dataset: e.Dataset, EventKind: e.EventKind, Trigger: e.Trigger,
		Accepted: raw.Accepted, Sequence: raw.Sequence, Body: r.encode(nil, e), State: r.state(nil, e),
	}
}

// send sends webhooks as the events from a sequence on.
func (r *rig) send(first int, webhooks ...string) []outputs.Message {
	r.t.Helper()
	var batch []outputs.Message
	for i, webhook := range webhooks {
		batch = append(batch, clone(r.message(first+i, webhook)))
	}
	r.must(r.Send(context.Background(), batch))
	return batch
}

// clone makes a message independent of the rig's event.
func clone(m outputs.Message) outputs.Message {
	for _, s := range []*string{&m.Key, &m.Kind, &m.Company, &m.Dataset, &m.EventKind, &m.Trigger} {
		*s = string([]byte(*s))
	}
	return m
}

// threat is a webhook about a threat, with more fields over it.
func threat(id, trigger string, more ...string) string {
	return webhook(map[string]any{
		"record_type": "Threat", "id": id, "company_id": "acme", "trigger_action": trigger, "title": "Threat " + id,
		"description": "Something was found.", "risk": "high", "state": "detected", "type": "Scanner::Site",
		"url": "https://my.defense.com/threats/" + id, "created_at": "2026-06-01T00:00:00Z",
	}, more)
}

// ticket is a webhook about a ticket.
func ticket(id, trigger string, more ...string) string {
	return webhook(map[string]any{
		"record_type": "Support Ticket", "id": id, "company_id": "acme", "trigger_action": trigger, "subject": "Ticket " + id,
		"reference": "REF-" + id, "priority": "Standard", "state": "new", "created_at": "2026-06-01T00:00:00Z",
	}, more)
}

func webhook(fields map[string]any, more []string) string {
	for i := 0; i+1 < len(more); i += 2 {
		fields[more[i]] = more[i+1]
	}
	b, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// find returns the sequences of the events that match, as listed.
func (r *rig) find(text string) []uint64 {
	r.t.Helper()
	q, err := local.ParseQuery(text, r.clock())
	if err != nil {
		r.t.Fatalf("%s: %v", text, err)
	}
	events, _, err := r.Events(context.Background(), q, local.Page{Limit: 1000})
	if err != nil {
		r.t.Fatalf("%s: %v", text, err)
	}
	found := []uint64{}
	for _, e := range events {
		found = append(found, e.Sequence)
	}
	return found
}

// records returns the records that match.
func (r *rig) records(text string, change ...func(*local.RecordPage)) []local.Record {
	r.t.Helper()
	q, err := local.ParseQuery(text, r.clock())
	r.must(err)
	p := local.RecordPage{Limit: 1000, Most: 10_000}
	for _, f := range change {
		f(&p)
	}
	records, _, _, err := r.Records(context.Background(), q, p)
	r.must(err)
	return records
}
