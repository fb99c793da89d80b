package elasticsearch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/elasticsearch/elasticsearchtest"
)

// outcome is what a Result should be.
type outcome int

const (
	done      outcome = iota
	refused           // a dead letter
	later             // again, and the receiver is to blame
	blamed            // again, and it counts against the message
	waitsFor          // again, once somebody has mended something
	tooLarge          // in smaller batches
	inPieces          // the whole batch again
	paused            // the whole batch again, once somebody has mended something
	patiently         // the whole batch again, and after the time that was asked for
)

// TestItems: each kind of refusal of one event among others, by status and type.
func TestItems(t *testing.T) {
	for name, x := range map[string]struct {
		refusal elasticsearchtest.Refusal
		want    outcome
	}{
		"already there":             {elasticsearchtest.Refusal{Status: 409, Type: "version_conflict_engine_exception", Reason: "document already exists"}, done},
		"in the failure store":      {elasticsearchtest.Refusal{FailureStore: true}, done},
		"throttled":                 {elasticsearchtest.Refusal{Status: 429, Type: "es_rejected_execution_exception", Reason: "queue"}, later},
		"throttled, OpenSearch":     {elasticsearchtest.Refusal{Status: 429, Type: "rejected_execution_exception", Reason: "queue"}, later},
		"circuit breaker":           {elasticsearchtest.Refusal{Status: 429, Type: "circuit_breaking_exception", Reason: "[parent] Data too large"}, later},
		"flood stage":               {elasticsearchtest.Refusal{Status: 429, Type: "cluster_block_exception", Reason: "index [x] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark];"}, later},
		"flood stage, older":        {elasticsearchtest.Refusal{Status: 403, Type: "cluster_block_exception", Reason: "index [x] blocked by: [FORBIDDEN/12/index read-only / allow delete (api)];"}, later},
		"read only":                 {elasticsearchtest.Refusal{Status: 403, Type: "cluster_block_exception", Reason: "index [x] blocked by: [FORBIDDEN/8/index write (api)];"}, later},
		"no shard":                  {elasticsearchtest.Refusal{Status: 503, Type: "unavailable_shards_exception", Reason: "timed out"}, later},
		"bad gateway":               {elasticsearchtest.Refusal{Status: 502, Type: "x", Reason: "y"}, later},
		"a node that went away":     {elasticsearchtest.Refusal{Status: 500, Type: "node_disconnected_exception", Reason: "[n2] disconnected"}, later},
		"a node that stops":         {elasticsearchtest.Refusal{Status: 500, Type: "node_closed_exception", Reason: "node closed"}, later},
		"a disk that is full":       {elasticsearchtest.Refusal{Status: 500, Type: "i_o_exception", Reason: "No space left on device"}, later},
		"a shard that failed":       {elasticsearchtest.Refusal{Status: 500, Type: "index_shard_closed_exception", Reason: "x"}, later},
		"a shard that moved":        {elasticsearchtest.Refusal{Status: 404, Type: "shard_not_found_exception", Reason: "no such shard"}, later},
		"an engine that failed":     {elasticsearchtest.Refusal{Status: 500, Type: "already_closed_exception", Reason: "engine is closed"}, later},
		"a node, as a cause":        {elasticsearchtest.Refusal{Status: 500, Type: "exception", Reason: "x", CausedBy: "node_not_connected_exception"}, later},
		"another conflict":          {elasticsearchtest.Refusal{Status: 409, Type: "illegal_state_exception", Reason: "x"}, blamed},
		"timeout":                   {elasticsearchtest.Refusal{Status: 504, Type: "x", Reason: "y"}, later},
		"closed":                    {elasticsearchtest.Refusal{Status: 400, Type: "index_closed_exception", Reason: "closed"}, waitsFor},
		"closed, as a block":        {elasticsearchtest.Refusal{Status: 403, Type: "cluster_block_exception", Reason: "index [x] blocked by: [FORBIDDEN/4/index closed];"}, waitsFor},
		"missing index":             {elasticsearchtest.Refusal{Status: 404, Type: "index_not_found_exception", Reason: "no such index [x]"}, waitsFor},
		"no room for shards":        {elasticsearchtest.Refusal{Status: 400, Type: "validation_exception", Reason: "Validation Failed: 1: this action would add [2] shards, but this cluster currently has [1000]/[1000] maximum normal shards open;"}, waitsFor},
		"data streams only":         {elasticsearchtest.Refusal{Status: 400, Type: "illegal_argument_exception", Reason: "cannot create index with name [x], because it matches with template [y] that creates data streams only, use create data stream api instead"}, waitsFor},
		"missing pipeline":          {elasticsearchtest.Refusal{Status: 400, Type: "illegal_argument_exception", Reason: "pipeline with id [x] does not exist"}, waitsFor},
		"no privilege":              {elasticsearchtest.Refusal{Status: 403, Type: "security_exception", Reason: "action [indices:data/write/bulk[s]] is unauthorized"}, waitsFor},
		"not logged in":             {elasticsearchtest.Refusal{Status: 401, Type: "security_exception", Reason: "x"}, waitsFor},
		"wrong type":                {elasticsearchtest.Refusal{Status: 400, Type: "document_parsing_exception", Reason: "[1:30] failed to parse field [event.severity]"}, refused},
		"wrong type, older":         {elasticsearchtest.Refusal{Status: 400, Type: "mapper_parsing_exception", Reason: "failed to parse field"}, refused},
		"strict mapping":            {elasticsearchtest.Refusal{Status: 400, Type: "strict_dynamic_mapping_exception", Reason: "x"}, refused},
		"unreadable":                {elasticsearchtest.Refusal{Status: 400, Type: "parse_exception", Reason: "Failed to parse content to map"}, refused},
		"immense term":              {elasticsearchtest.Refusal{Status: 400, Type: "illegal_argument_exception", Reason: `Document contains at least one immense term in field="x"`}, refused},
		"immense term, as a cause":  {elasticsearchtest.Refusal{Status: 400, Type: "illegal_argument_exception", Reason: "x", CausedBy: "max_bytes_length_exceeded_exception"}, refused},
		"immense flattened":         {elasticsearchtest.Refusal{Status: 400, Type: "illegal_argument_exception", Reason: "Flattened field [defensecom.extra] contains one immense field whose keyed encoding is longer"}, refused},
		"another illegal argument":  {elasticsearchtest.Refusal{Status: 400, Type: "illegal_argument_exception", Reason: "Limit of total fields [1000] has been exceeded"}, blamed},
		"unknown 400":               {elasticsearchtest.Refusal{Status: 400, Type: "some_future_exception", Reason: "x"}, blamed},
		"no type at all":            {elasticsearchtest.Refusal{Status: 400}, blamed},
		"500":                       {elasticsearchtest.Refusal{Status: 500, Type: "null_pointer_exception", Reason: "x"}, blamed},
		"a script of the pipeline":  {elasticsearchtest.Refusal{Status: 400, Type: "script_exception", Reason: "runtime error"}, blamed},
		"a status that is not one":  {elasticsearchtest.Refusal{Status: 999, Type: "x"}, inPieces},
		"applied, and yet an error": {elasticsearchtest.Refusal{Status: 503, Type: "x", Applied: true}, later},
	} {
		t.Run(name, func(t *testing.T) {
			server := elasticsearchtest.New(t)
			m := newMaker(t)
			batch := []outputs.Message{m.message(threat("a", "update", "detected", "")), m.message(threat("b", "update", "detected", "")), m.message(threat("c", "update", "detected", ""))}
			server.Refuse(func(op elasticsearchtest.Operation) *elasticsearchtest.Refusal {
				if op.ID == batch[1].ID {
					r := x.refusal
					return &r
				}
				return nil
			})
			err := newOutput(t, configOf(server)).Send(context.Background(), batch)
			check(t, err, x.want, 1)
		})
	}
}

// check holds what Send returned to what it should mean for the message at index at,
// of three of which the others are done.
func check(t *testing.T, err error, want outcome, at int) {
	t.Helper()
	var p *outputs.Partial
	var notReady *outputs.NotReady
	partial := errors.As(err, &p)
	switch want {
	case done:
		if err != nil {
			t.Errorf("got %v", err)
		}
		return
	case tooLarge:
		if !errors.Is(err, outputs.ErrTooLarge) {
			t.Errorf("got %v", err)
		}
		return
	case inPieces, patiently:
		if err == nil || partial || errors.As(err, &notReady) || errors.Is(err, outputs.ErrTooLarge) || (outputs.RetryAfter(err) > 0) != (want == patiently) {
			t.Errorf("got %v, to wait %v", err, outputs.RetryAfter(err))
		}
		return
	case paused:
		if partial || !errors.As(err, &notReady) {
			t.Errorf("got %v", err)
		}
		return
	}
	if !partial {
		t.Fatalf("got %v", err)
	}
	for i, r := range p.Results {
		if i != at && (r.Status != outputs.Done || r.Err != nil) {
			t.Errorf("a neighbour is %v: %v", r.Status, r.Err)
		}
	}
	r := p.Results[at]
	switch {
	case (want == refused) != (r.Status == outputs.Refused), want != refused && r.Status != outputs.Retry:
		t.Errorf("it is %v: %v", r.Status, r.Err)
	case want != refused && (want == blamed) == outputs.IsTransient(r.Err):
		t.Errorf("transient: %t: %v", outputs.IsTransient(r.Err), r.Err)
	case (want == waitsFor) != errors.As(r.Err, &notReady):
		t.Errorf("not ready: %t: %v", want != waitsFor, r.Err)
	}
}

// TestWholeReplies: what the whole request may get instead of a reply.
func TestWholeReplies(t *testing.T) {
	answer := func(status int, kind, reason string) func(http.ResponseWriter, []byte) {
		return func(w http.ResponseWriter, _ []byte) { elasticsearchtest.Fail(w, status, kind, reason) }
	}
	text := func(status int, body string, headers ...string) func(http.ResponseWriter, []byte) {
		return func(w http.ResponseWriter, _ []byte) {
			for i := 0; i < len(headers); i += 2 {
				w.Header().Set(headers[i], headers[i+1])
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	// change answers as it should be, and changes what that says.
	change := func(f func(reply map[string]any)) func(http.ResponseWriter, []byte) {
		return func(w http.ResponseWriter, body []byte) {
			ops, err := elasticsearchtest.Parse(body)
			if err != nil {
				t.Error(err)
			}
			var items []any
			for _, op := range ops {
				items = append(items, map[string]any{op.Action: map[string]any{"_id": op.ID, "status": 201}})
			}
			reply := map[string]any{"errors": false, "items": items}
			f(reply)
			_ = json.NewEncoder(w).Encode(reply)
		}
	}
	item := func(reply map[string]any, i int) map[string]any {
		return reply["items"].([]any)[i].(map[string]any)["create"].(map[string]any)
	}
	for name, x := range map[string]struct {
		answer func(w http.ResponseWriter, body []byte)
		want   outcome
	}{
		"as it should be":      {change(func(map[string]any) {}), done},
		"429":                  {answer(429, "es_rejected_execution_exception", "queue"), inPieces},
		"429 with a wait":      {text(429, `{}`, "Retry-After", "7"), patiently},
		"503 with a wait":      {text(503, `<html>`, "Retry-After", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)), patiently},
		"503 with nonsense":    {text(503, ``, "Retry-After", "soon"), inPieces},
		"429 in the past":      {text(429, ``, "Retry-After", "-3"), inPieces},
		"500":                  {answer(500, "x", "y"), inPieces},
		"502 of a proxy":       {text(502, "<html>bad gateway</html>"), inPieces},
		"504 of a proxy":       {text(504, "<html>timeout</html>"), inPieces},
		"408":                  {text(408, ""), inPieces},
		"413":                  {text(413, "<html>nginx</html>"), tooLarge},
		"401":                  {answer(401, "security_exception", "unable to authenticate"), paused},
		"403":                  {answer(403, "security_exception", "unauthorized"), paused},
		"403 of a full disk":   {answer(403, "cluster_block_exception", "blocked by: [FORBIDDEN/12/index read-only / allow delete (api)];"), inPieces},
		"404":                  {text(404, "not found"), paused},
		"405":                  {text(405, ""), paused},
		"407":                  {text(407, ""), paused},
		"302":                  {text(302, "", "Location", "https://login.example/"), paused},
		"400":                  {answer(400, "illegal_argument_exception", "Malformed action/metadata line [1]"), paused},
		"an error as text":     {text(400, `{"error":"no handler found for uri [/_bulk]"}`), paused},
		"nothing":              {text(200, ""), inPieces},
		"a page":               {text(200, "<html>welcome</html>"), inPieces},
		"an empty object":      {text(200, "{}"), inPieces},
		"null":                 {text(200, "null"), inPieces},
		"too many brackets":    {text(200, strings.Repeat("[", 100000)), inPieces},
		"larger than can be":   {text(200, `{"items":[],"x":"`+strings.Repeat("x", 2<<20)+`"}`), inPieces},
		"one item less":        {change(func(r map[string]any) { r["items"] = r["items"].([]any)[1:] }), inPieces},
		"one item more":        {change(func(r map[string]any) { r["items"] = append(r["items"].([]any), r["items"].([]any)[0]) }), inPieces},
		"no items":             {change(func(r map[string]any) { delete(r, "items") }), inPieces},
		"items out of order":   {change(func(r map[string]any) { l := r["items"].([]any); l[0], l[2] = l[2], l[0] }), inPieces},
		"an item twice":        {change(func(r map[string]any) { l := r["items"].([]any); l[0] = l[1] }), inPieces},
		"another id":           {change(func(r map[string]any) { item(r, 1)["_id"] = "x" }), inPieces},
		"no id":                {change(func(r map[string]any) { delete(item(r, 1), "_id") }), inPieces},
		"no status":            {change(func(r map[string]any) { delete(item(r, 1), "status") }), inPieces},
		"a status of 0":        {change(func(r map[string]any) { item(r, 1)["status"] = 0 }), inPieces},
		"a status as text":     {change(func(r map[string]any) { item(r, 1)["status"] = "201" }), inPieces},
		"a null item":          {change(func(r map[string]any) { r["items"].([]any)[1] = nil }), inPieces},
		"another action":       {change(func(r map[string]any) { r["items"].([]any)[1] = map[string]any{"index": item(r, 1)} }), inPieces},
		"two actions":          {change(func(r map[string]any) { r["items"].([]any)[1].(map[string]any)["index"] = item(r, 1) }), inPieces},
		"done, with an error":  {change(func(r map[string]any) { item(r, 1)["error"] = map[string]any{"type": "x"} }), blamed},
		"errors that are none": {change(func(r map[string]any) { r["errors"] = true }), done},
		"something behind it": {func(w http.ResponseWriter, body []byte) {
			change(func(map[string]any) {})(w, body)
			_, _ = io.WriteString(w, "{}")
		}, inPieces},
		"cut": {func(w http.ResponseWriter, body []byte) {
			w.Header().Set("Content-Length", "10000")
			change(func(map[string]any) {})(w, body)
		}, inPieces},
		"cut in a chunk": {func(w http.ResponseWriter, body []byte) {
			change(func(map[string]any) {})(w, body)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, inPieces},
		"no answer": {func(http.ResponseWriter, []byte) { panic(http.ErrAbortHandler) }, inPieces},
	} {
		t.Run(name, func(t *testing.T) {
			server := elasticsearchtest.New(t)
			out := newOutput(t, configOf(server))
			m := newMaker(t)
			var batch []outputs.Message
			for range 3 {
				batch = append(batch, m.message(threat("a", "update", "detected", "")))
			}
			server.Intercept(func(w http.ResponseWriter, r *http.Request, body []byte) bool {
				if r.URL.Path != "/_bulk" {
					return false
				}
				x.answer(w, body)
				return true
			})
			err := out.Send(context.Background(), batch)
			check(t, err, x.want, 1)
			if err != nil && len(err.Error()) > 2000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			if wait := outputs.RetryAfter(err); wait > time.Minute {
				t.Errorf("a server can silence the output for %v", wait)
			}
			server.Intercept(nil)
			if got := deliver(t, out, batch, nil); len(got.done) != 3 || len(server.Documents(".ds-")) != 3 {
				t.Errorf("afterwards: %d done, %d there", len(got.done), len(server.Documents(".ds-")))
			}
		})
	}
}

// TestAllRefusedAlike: what is said of every event is not the events' mistake, unless
// its type says so.
func TestAllRefusedAlike(t *testing.T) {
	for kind, want := range map[string]outcome{
		"index_not_found_exception": paused, "security_exception": paused,
	} {
		server := elasticsearchtest.New(t)
		server.Refuse(func(elasticsearchtest.Operation) *elasticsearchtest.Refusal {
			return &elasticsearchtest.Refusal{Status: 400, Type: kind, Reason: "x"}
		})
		if kind == "security_exception" {
			server.Refuse(func(elasticsearchtest.Operation) *elasticsearchtest.Refusal {
				return &elasticsearchtest.Refusal{Status: 403, Type: kind, Reason: "x"}
			})
		}
		m := newMaker(t)
		batch := []outputs.Message{m.message(threat("a", "update", "detected", "")), m.message(threat("b", "update", "detected", ""))}
		check(t, newOutput(t, configOf(server)).Send(context.Background(), batch), want, 0)
	}
	server := elasticsearchtest.New(t)
	server.Refuse(func(elasticsearchtest.Operation) *elasticsearchtest.Refusal {
		return &elasticsearchtest.Refusal{Status: 400, Type: "mapper_parsing_exception", Reason: "x"}
	})
	m := newMaker(t)
	got := deliver(t, newOutput(t, configOf(server)), []outputs.Message{m.message("{}"), m.message("[]")}, nil)
	if len(got.refused) != 2 {
		t.Errorf("%+v", got)
	}
}

// TestSpoiledRequest: a document that makes the pipeline refuse its neighbours too, as
// OpenSearch does, is the only one that is refused in the end.
func TestSpoiledRequest(t *testing.T) {
	server := elasticsearchtest.New(t)
	m := newMaker(t)
	var batch []outputs.Message
	for range 30 {
		batch = append(batch, m.message(threat("a", "update", "detected", "")))
	}
	bad := batch[17].ID
	server.Intercept(func(_ http.ResponseWriter, _ *http.Request, body []byte) bool {
		spoiled := bytes.Contains(body, []byte(`"_id":"`+bad))
		server.Refuse(func(elasticsearchtest.Operation) *elasticsearchtest.Refusal {
			if spoiled {
				return &elasticsearchtest.Refusal{Status: 400, Type: "parse_exception", Reason: "Failed to parse content to map"}
			}
			return nil
		})
		return false
	})
	got := deliver(t, newOutput(t, configOf(server)), batch, nil)
	if len(got.done) != 29 || len(got.refused) != 1 || got.refused[bad] == nil {
		t.Errorf("%d done, refused: %v", len(got.done), got.refused)
	}
}

// TestBodies: what no bulk request can carry is refused here, and nothing else.
func TestBodies(t *testing.T) {
	server := elasticsearchtest.New(t)
	m := newMaker(t)
	good := m.message(threat("a", "update", "detected", ""))
	var batch []outputs.Message
	for i, change := range []func(*outputs.Message){
		func(x *outputs.Message) { x.Body = nil },
		func(x *outputs.Message) { x.Body = []byte("[1]") },
		func(x *outputs.Message) { x.Body = []byte("{}\n{}") },
		func(x *outputs.Message) { x.Body = []byte("{\"a\":\r1}") },
		func(x *outputs.Message) { x.Body = []byte(`{"a":1`) },
		func(x *outputs.Message) { x.Namespace = "Über" },
		func(x *outputs.Message) { x.Namespace = "a/_all" },
		func(x *outputs.Message) { x.Dataset = `x","_id":"y` },
		func(x *outputs.Message) { x.ID = `x"` },
		func(x *outputs.Message) { x.State = []byte("{}\n") },
	} {
		x := m.messageOf(uint64(100+i), threat("a", "update", "detected", ""))
		change(&x)
		batch = append(batch, x)
	}
	batch = append(batch, good)
	var p *outputs.Partial
	if err := newOutput(t, configOf(server)).Send(context.Background(), batch); !errors.As(err, &p) {
		t.Fatalf("got %v", err)
	}
	for i, r := range p.Results {
		if want := i < len(batch)-1; want != (r.Status == outputs.Refused) {
			t.Errorf("message %d is %v: %v", i, r.Status, r.Err)
		}
	}
	if list := server.Documents(""); len(list) != 1 {
		t.Errorf("%d documents", len(list))
	}
}

// FuzzReply: whatever a server answers, Send returns, and calls a message done only if
// the reply says so of its id.
func FuzzReply(f *testing.F) {
	id := fmt.Sprintf("%032x", 1)
	for _, seed := range []string{
		`{"errors":false,"items":[{"create":{"_id":"` + id + `","status":201}}]}`, `{"items":[{"create":{"_id":"` + id + `","status":409,"error":{"type":"version_conflict_engine_exception"}}}]}`,
		`{"items":[{"create":{"_id":"` + id + `","status":400,"error":"x"}}]}`, `{"items":[{}]}`, `{"items":null}`, ``, `<html>`, `{"items":[{"create":{"status":201}}]}`,
	} {
		f.Add([]byte(seed))
	}
	server := elasticsearchtest.New(f)
	out := newOutput(f, configOf(server))
	m := newMaker(f)
	batch := []outputs.Message{m.message(threat("a", "update", "detected", ""))}
	f.Fuzz(func(t *testing.T, reply []byte) {
		server.Intercept(func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
			_, _ = w.Write(reply)
			return true
		})
		err := out.Send(context.Background(), batch)
		if err == nil && (!json.Valid(reply) || !bytes.Contains(reply, []byte(id)) && !bytes.Contains(reply, []byte(`\u`))) {
			t.Errorf("done, by %q", reply)
		}
	})
}
