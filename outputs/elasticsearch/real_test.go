package elasticsearch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/endtoend"
	"github.com/siemrelay/siemrelay/internal/testenv/opensearch"
	"github.com/siemrelay/siemrelay/normalize"
	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/elasticsearch"
)

// node is a real one with what Setup installs.
type node struct {
	*opensearch.Node
	t      *testing.T
	config elasticsearch.Config
}

// TestRealOpenSearch is one test, because a node takes a while to start.
func TestRealOpenSearch(t *testing.T) {
	n, err := opensearch.Start(t.TempDir())
	if err != nil {
		endtoend.Skip(t, err)
	}
	t.Cleanup(n.Kill)
	c := elasticsearch.Default()
	c.URLs, c.Latest = []string{n.URL}, true
	for _, x := range []struct {
		name string
		run  func(t *testing.T, n *node)
	}{
		{"setup is idempotent", realSetup},
		{"ten thousand odd events", realOddEvents},
		{"words in a long description", realLongDescription},
		{"what a node refuses", realRefusals},
		{"a replay that overwrites", realOverwrite},
		{"latest states", realLatest},
		{"killed under load", realKilled},
		{"end to end", realEndToEnd},
		{"another label, end to end", realRelabel},
		{"a replay of a closed index", realClosed},
		{"namespaces of companies", realNamespaces},
	} {
		if !t.Run(x.name, func(t *testing.T) { x.run(t, &node{n, t, c}) }) && x.name == "setup is idempotent" {
			return
		}
	}
}

// ask sends a request and reads the answer into v, which may be nil.
func (n *node) ask(method, path, body string, v any) int {
	n.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, n.URL+path, strings.NewReader(body))
	if err != nil {
		n.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		n.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	if v == nil {
		return res.StatusCode
	}
	if err := json.Unmarshal(text, v); err != nil || res.StatusCode != http.StatusOK {
		n.t.Fatalf("%s %s: %s %.500s", method, path, res.Status, text)
	}
	return res.StatusCode
}

type hits struct {
	Hits struct {
		Total struct{ Value int }
		Hits  []struct {
			Index   string          `json:"_index"`
			ID      string          `json:"_id"`
			Version int64           `json:"_version"`
			Source  json.RawMessage `json:"_source"`
			Sort    json.RawMessage
		}
	}
}

// search finds documents; what was written is there.
func (n *node) search(index, query string) hits {
	n.t.Helper()
	var h hits
	n.ask("POST", "/"+index+"/_refresh", "", nil)
	n.ask("POST", "/"+index+"/_search", `{"size":10000,"track_total_hits":true,"version":true,"query":`+query+`}`, &h)
	return h
}

// every returns all documents of an index, by id. An id that is there twice fails the test.
func (n *node) every(index string) map[string]json.RawMessage {
	n.t.Helper()
	all := map[string]json.RawMessage{}
	n.ask("POST", "/"+index+"/_refresh", "", nil)
	for after := ""; ; {
		var h hits
		n.ask("POST", "/"+index+"/_search", `{"size":5000,"query":{"match_all":{}},"sort":["event.sequence",{"event.id":"asc"}]`+after+`}`, &h)
		if len(h.Hits.Hits) == 0 {
			return all
		}
		for _, x := range h.Hits.Hits {
			if all[x.ID] != nil {
				n.t.Errorf("%s has two documents %s", index, x.ID)
			}
			all[x.ID] = x.Source
			after = `,"search_after":` + string(x.Sort)
		}
	}
}

// fields are all our mappings as text, each once.
func (n *node) fields() string {
	n.t.Helper()
	var all map[string]struct{ Mappings json.RawMessage }
	n.ask("GET", "/logs-defensecom.*,defensecom-latest-*/_mapping", "", &all)
	seen := map[string]bool{}
	for _, x := range all {
		seen[string(x.Mappings)] = true
	}
	var texts []string
	for text := range seen {
		texts = append(texts, text)
	}
	slices.Sort(texts)
	return strings.Join(texts, "\n")
}

func realSetup(t *testing.T, n *node) {
	for round := range 3 {
		var steps []elasticsearch.Step
		o := elasticsearch.SetupOptions{Retention: "365d", Done: func(s elasticsearch.Step) { steps = append(steps, s) }}
		if err := elasticsearch.Setup(context.Background(), n.config, o); err != nil {
			t.Fatal(err)
		}
		for _, s := range steps {
			want := elasticsearch.Unchanged
			if round == 0 {
				want = elasticsearch.Created
			}
			if s.Action != want && s.Action != elasticsearch.Ensured && s.Kind != "retention policy" {
				t.Errorf("round %d: %+v", round, s)
			}
		}
		if len(steps) < 9 {
			t.Errorf("only %d steps", len(steps))
		}
	}
	out := newOutput(t, n.config).(outputs.Checker)
	if err := out.Check(context.Background()); err != nil {
		t.Error(err)
	}
}

// realOddEvents: whatever bodies there are, each event is indexed, and none adds a field.
func realOddEvents(t *testing.T, n *node) {
	m := newMaker(t)
	out := newOutput(t, n.config)
	bodies := oddBodies(t)
	var batch []outputs.Message
	total, states := 10000, map[string]bool{}
	before := ""
	for i := range total {
		x := m.message(bodies[i%len(bodies)])
		if len(x.State) > 0 {
			states[x.Key] = true
		}
		batch = append(batch, x)
		if len(batch) < 1000 {
			continue
		}
		got := deliver(t, out, batch, nil)
		for id, err := range got.refused {
			t.Errorf("event %s was refused: %v", id, err)
		}
		batch = batch[:0]
		if before == "" {
			before = n.fields()
		}
	}
	if got := n.search("logs-defensecom.*", `{"match_all":{}}`).Hits.Total.Value; got != total {
		t.Errorf("%d documents, want %d", got, total)
	}
	if got := n.search("defensecom-latest-*", `{"match_all":{}}`).Hits.Total.Value; got != len(states) {
		t.Errorf("%d latest states, want %d", got, len(states))
	}
	if after := n.fields(); after != before || strings.Count(before, `"type":"keyword"`) < 30 {
		t.Errorf("the mapping changed:\n%s\n%s", before, after)
	}
	for query, least := range map[string]int{
		`{"exists":{"field":"event.ingested"}}`:                    total,
		`{"term":{"data_stream.type":"logs"}}`:                     total,
		`{"term":{"defensecom.threat.status":"open"}}`:             100,
		`{"range":{"event.severity":{"gte":99}}}`:                  10,
		`{"match":{"defensecom.threat.title.text":"outdated"}}`:    10,
		`{"term":{"defensecom.threat.source":"Penetration test"}}`: 1,
	} {
		if got := n.search("logs-defensecom.*", query).Hits.Total.Value; got < least {
			t.Errorf("%s finds %d", query, got)
		}
	}
	if got := n.search("logs-defensecom.*", `{"exists":{"field":"event.original"}}`).Hits.Total.Value; got != 0 {
		t.Errorf("event.original is indexed, in %d documents", got)
	}
}

func realLongDescription(t *testing.T, n *node) {
	m := newMaker(t)
	m.sequence = 20000
	description := strings.Repeat("lorem ipsum dolor ", 1200) + "xylophonequartz " + strings.Repeat("sit amet elit ", 1500)
	text := mustJSON(t, description)
	x := m.message(threat("long", "create", "detected", `,"description":`+string(text)+note(description)))
	if got := deliver(t, newOutput(t, n.config), []outputs.Message{x}, nil); len(got.done) != 1 {
		t.Fatalf("%v", got.refused)
	}
	for _, name := range []string{"defensecom.threat.description", "defensecom.note.message"} {
		h := n.search("logs-defensecom.*", `{"match_phrase":{"`+name+`":"dolor xylophonequartz sit"}}`)
		if h.Hits.Total.Value != 1 || h.Hits.Hits[0].ID != x.ID {
			t.Errorf("%s: found %d", name, h.Hits.Total.Value)
		}
	}
	h := n.search("logs-defensecom.*", `{"term":{"event.id":"`+x.ID+`"}}`)
	if field(t, h.Hits.Hits[0].Source, "event", "original") == nil {
		t.Error("event.original was not kept")
	}
}

// realRefusals: what the node really says to what goes wrong, and what we make of it.
func realRefusals(t *testing.T, n *node) {
	m := newMaker(t)
	m.sequence = 30000
	out := newOutput(t, n.config)
	const stream = "logs-defensecom.threat-refusals"
	message := func() outputs.Message {
		x := m.message(threat("r", "update", "detected", ""))
		x.Namespace = "refusals"
		return x
	}
	if err := out.Send(context.Background(), []outputs.Message{message()}); err != nil {
		t.Fatal(err)
	}
	batch := []outputs.Message{message(), message(), message(), message(), message(), message()}
	batch[1].Body = bytes.Replace(batch[1].Body, []byte(`"2026-06-19T`), []byte(`"yesterday T`), 1) // of @timestamp
	batch[3].Body = batch[3].Body[:len(batch[3].Body)-2]
	batch[4].Body = append([]byte(`{"@timestamp":"2026-06-19T10:00:00Z",`), batch[4].Body[1:]...) // twice
	got := deliver(t, out, batch, nil)
	t.Logf("%v", got.refused)
	if len(got.refused) != 3 || got.refused[batch[1].ID] == nil || got.refused[batch[3].ID] == nil || got.refused[batch[4].ID] == nil {
		t.Errorf("refused are %v", got.refused)
	}

	var p *outputs.Partial
	var notReady *outputs.NotReady
	const drop = "defensecom-test-drop"
	if status := n.ask("PUT", "/_ingest/pipeline/"+drop, `{"processors":[{"drop":{}}]}`, nil); status != http.StatusOK {
		t.Fatalf("make a pipeline: %d", status)
	}
	n.ask("PUT", "/"+stream+"/_settings", `{"index.final_pipeline":"`+drop+`"}`, nil)
	if err := out.Send(context.Background(), []outputs.Message{message()}); !errors.As(err, &p) || p.Results[0].Status != outputs.Refused {
		t.Errorf("a pipeline drops it: %v", err)
	}
	n.ask("PUT", "/"+stream+"/_settings", `{"index.final_pipeline":null}`, nil)
	for _, x := range []struct {
		name, begin, end string
		paused           bool
	}{
		{"closed index", "POST /defensecom-latest-threat/_close", "POST /defensecom-latest-threat/_open", true},
		{"flood stage of the latest states", `PUT /defensecom-latest-threat/_settings {"index.blocks.read_only_allow_delete":true}`, `PUT /defensecom-latest-threat/_settings {"index.blocks.read_only_allow_delete":null}`, false},
		{"flood stage", `PUT /` + stream + `/_settings {"index.blocks.read_only_allow_delete":true}`, `PUT /` + stream + `/_settings {"index.blocks.read_only_allow_delete":null}`, false},
		{"missing pipeline", `PUT /` + stream + `/_settings {"index.default_pipeline":"missing"}`, `PUT /` + stream + `/_settings {"index.default_pipeline":"defensecom@pipeline"}`, true},
	} {
		do := func(text string) {
			method, rest, _ := strings.Cut(text, " ")
			path, body, _ := strings.Cut(rest, " ")
			if status := n.ask(method, path, body, nil); status != http.StatusOK {
				t.Fatalf("%s: %d", text, status)
			}
		}
		do(x.begin)
		late := message()
		err := out.Send(context.Background(), []outputs.Message{late})
		t.Logf("%s: %v", x.name, err)
		switch {
		case err == nil, x.paused != errors.As(err, &notReady):
			t.Errorf("%s: got %v", x.name, err)
		case errors.As(err, &p) && (p.Results[0].Status != outputs.Retry || !outputs.IsTransient(p.Results[0].Err)):
			t.Errorf("%s: got %v: %v", x.name, p.Results[0].Status, p.Results[0].Err)
		}
		do(x.end)
		if err := out.Send(context.Background(), []outputs.Message{late}); err != nil {
			t.Errorf("%s is over: %v", x.name, err)
		}
	}
}

// realOverwrite: a replay with another mapping rewrites events wherever they are, and
// latest states; a plain one only fills gaps.
func realOverwrite(t *testing.T, n *node) {
	const first = 40000
	body := func(i int) string {
		return threat(fmt.Sprint("o", i), []string{"create", "update", "closed"}[i%3], "detected", "")
	}
	old, changed := newMaker(t), newMaker(t, normalize.MappingFile{Name: "m.yaml", Data: []byte("sources:\n  Scanner::Site: {label: Perimeter scan}\n")})
	out := newOutput(t, n.config)
	batch := func(m *maker, overwrite bool, skip int) []outputs.Message {
		var list []outputs.Message
		for i := range 30 {
			if i == skip {
				continue
			}
			x := m.messageOf(uint64(first+i), body(i))
			x.Namespace, x.Overwrite = "overwrite", overwrite
			x.Body = bytes.Replace(x.Body, []byte(`"namespace":"default"`), []byte(`"namespace":"overwrite"`), 1)
			list = append(list, x)
		}
		return list
	}
	const stream = "logs-defensecom.threat-overwrite"
	deliver(t, out, batch(old, false, 20)[:15], nil)
	n.ask("POST", "/"+stream+"/_rollover", "", nil)
	deliver(t, out, batch(old, false, 20)[15:], nil)
	before := n.search(stream, `{"match_all":{}}`)

	plain := batch(changed, false, -1)[15:] // those before are in an index that is not written to any more
	if got := deliver(t, out, plain, nil); len(got.done) != 15 || len(got.refused) > 0 {
		t.Errorf("a plain replay: %+v", got.refused)
	}
	if got := n.search(stream, `{"term":{"defensecom.threat.source":"Perimeter scan"}}`).Hits.Total.Value; got != 1 {
		t.Errorf("a plain replay changed documents: %d have the new label, want the one that was missing", got)
	}
	got := deliver(t, out, batch(changed, true, -1), func() { time.Sleep(200 * time.Millisecond) })
	if len(got.done) != 30 {
		t.Fatalf("%d done: %v", len(got.done), got.refused)
	}
	after := n.search(stream, `{"match_all":{}}`)
	if len(after.Hits.Hits) != 30 {
		t.Errorf("%d documents", len(after.Hits.Hits))
	}
	ingested, indices := map[string]any{}, map[string]string{}
	for _, h := range before.Hits.Hits {
		ingested[h.ID], indices[h.ID] = field(t, h.Source, "event", "ingested"), h.Index
	}
	both := map[string]bool{}
	for _, h := range after.Hits.Hits {
		both[h.Index] = true
		if source := field(t, h.Source, "defensecom", "threat", "source"); source != "Perimeter scan" {
			t.Errorf("%s still is of %v", h.ID, source)
		}
		if was := ingested[h.ID]; was != nil && (was != field(t, h.Source, "event", "ingested") || indices[h.ID] != h.Index) {
			t.Errorf("%s was ingested at %v in %s, and now at %v in %s", h.ID, was, indices[h.ID], field(t, h.Source, "event", "ingested"), h.Index)
		}
	}
	if len(both) != 2 {
		t.Errorf("documents in %v", both)
	}
	if got := n.search("defensecom-latest-threat", `{"term":{"defensecom.threat.source":"Perimeter scan"}}`).Hits.Total.Value; got != 30 {
		t.Errorf("%d latest states have the new label", got)
	}
}

// realLatest: a life of many records, every batch sent again at some time.
func realLatest(t *testing.T, n *node) {
	const records = 1000
	m := newMaker(t)
	m.sequence = 50000
	out := newOutput(t, n.config)
	want := map[string]life{}
	var sent [][]outputs.Message
	send := func(batch []outputs.Message) {
		t.Helper()
		if got := deliver(t, out, batch, nil); len(got.refused) > 0 {
			t.Fatalf("%v", got.refused)
		}
		sent = append(sent, batch)
	}
	for _, step := range lifeSteps() {
		var batch []outputs.Message
		for i := range records {
			x := m.message(threat(fmt.Sprintf("life-%d", i), step.trigger, step.state, step.more))
			want[recordID(x)] = want[recordID(x)].after(x, step)
			batch = append(batch, x)
		}
		send(batch[:500])
		send(batch[500:])
		if rand.IntN(2) == 0 {
			send(sent[rand.IntN(len(sent))])
		}
	}
	for _, batch := range slices.Clone(sent) {
		send(batch)
	}
	h := n.search("defensecom-latest-threat", `{"prefix":{"defensecom.threat.id":"life-"}}`)
	if h.Hits.Total.Value != records {
		t.Errorf("%d records", h.Hits.Total.Value)
	}
	for _, x := range h.Hits.Hits {
		want[x.ID].check(t, x.Source)
	}
}

// realKilled: events and states sent while the node is killed and started again are
// all there, once.
func realKilled(t *testing.T, n *node) {
	m := newMaker(t)
	m.sequence = 70000
	c := n.config
	c.Timeout = 5 * time.Second
	out := newOutput(t, c)
	want := map[string]bool{}
	var killed atomic.Int32
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		for range 2 {
			time.Sleep(700 * time.Millisecond)
			n.Kill()
			killed.Add(1)
			if err := n.Restart(); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	rounds := 0
	for running := true; running || rounds < 20; rounds++ {
		select {
		case <-stop:
			running = false
		default:
		}
		var batch []outputs.Message
		for range 200 {
			x := m.message(threat(fmt.Sprint("kill-", m.sequence%300), "update", "assigned", ""))
			x.Namespace = "killed"
			batch = append(batch, x)
			want[x.ID] = true
		}
		got := deliver(t, out, batch, func() { time.Sleep(100 * time.Millisecond) })
		if len(got.done) != len(batch) {
			t.Fatalf("%v", got.refused)
		}
	}
	<-stop
	if killed.Load() != 2 {
		t.Fatalf("the node was killed %d times", killed.Load())
	}
	seen := n.every("logs-defensecom.threat-killed")
	for id := range want {
		if seen[id] == nil {
			t.Errorf("event %s is missing", id)
		}
	}
	if len(seen) != len(want) {
		t.Errorf("%d documents for %d events", len(seen), len(want))
	}
	t.Logf("%d events in %d batches", len(want), rounds)
}
