package elasticsearch_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/elasticsearch"
	"github.com/siemrelay/siemrelay/outputs/elasticsearch/elasticsearchtest"
)

// TestPoisonIsBlamed: events that fail alike, and alone once the others are done, don't
// pause the output: nobody could mend that, and nothing behind them would ever be sent.
func TestPoisonIsBlamed(t *testing.T) {
	server := elasticsearchtest.New(t)
	m := newMaker(t)
	var batch []outputs.Message
	for i := range 4 {
		batch = append(batch, m.message(threat(fmt.Sprint("p", i), "update", "detected", "")))
	}
	server.Refuse(func(op elasticsearchtest.Operation) *elasticsearchtest.Refusal {
		if op.ID == batch[1].ID || op.ID == batch[2].ID {
			return &elasticsearchtest.Refusal{Status: 400, Type: "script_exception", Reason: "runtime error"}
		}
		return nil
	})
	out := newOutput(t, configOf(server))
	for _, part := range [][]outputs.Message{batch, batch[1:3], batch[1:3]} {
		var p *outputs.Partial
		if err := out.Send(context.Background(), part); !errors.As(err, &p) {
			t.Fatalf("got %v", err)
		}
		for i, r := range p.Results {
			poison := len(part) == 2 || i == 1 || i == 2
			if poison && (r.Status != outputs.Retry || outputs.IsTransient(r.Err)) || !poison && r.Status != outputs.Done {
				t.Errorf("message %d of %d is %v: %v", i, len(part), r.Status, r.Err)
			}
		}
	}
}

// TestDropped: a document that an ingest pipeline drops is answered with 200, and is
// not there. That is no delivery.
func TestDropped(t *testing.T) {
	server := elasticsearchtest.New(t)
	m := newMaker(t)
	batch := []outputs.Message{m.message(threat("a", "update", "detected", "")), m.message(threat("b", "update", "detected", ""))}
	server.Intercept(func(w http.ResponseWriter, q *http.Request, _ []byte) bool {
		if q.URL.Path == "/_bulk" {
			if !strings.Contains(q.URL.RawQuery, "items.%2A.result") && !strings.Contains(q.URL.RawQuery, "items.*.result") {
				t.Errorf("results are not asked for: %s", q.URL.RawQuery)
			}
			fmt.Fprintf(w, `{"errors":false,"items":[{"create":{"_id":%q,"status":201,"result":"created"}},{"create":{"_id":%q,"status":200,"result":"noop"}}]}`, batch[0].ID, batch[1].ID)
		}
		return q.URL.Path == "/_bulk"
	})
	err := newOutput(t, configOf(server)).Send(context.Background(), batch)
	check(t, err, refused, 1)
	var p *outputs.Partial
	if errors.As(err, &p) && !strings.Contains(p.Results[1].Err.Error(), "pipeline") {
		t.Errorf("got %v", p.Results[1].Err)
	}
}

// TestReadableLogin: any address without TLS is warned of, not only the first.
func TestReadableLogin(t *testing.T) {
	var log bytes.Buffer
	c := elasticsearch.Default()
	c.URLs, c.APIKey = []string{"https://a.example.com:9200", "http://b.example.com:9200"}, config.NewSecret("id:key")
	out, err := elasticsearch.New(c, elasticsearch.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "sent readable") {
		t.Errorf("the log is %q", log.String())
	}
}
