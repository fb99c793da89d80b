package elasticsearch_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/elasticsearch"
	"github.com/siemrelay/siemrelay/outputs/elasticsearch/elasticsearchtest"
	"github.com/siemrelay/siemrelay/outputs/outputstest"
)

const apiKey = "VuaCfGcBCdbkQm-e5aOx:ui2lp2axTNmsyakw9tvNnw"

func TestSuite(t *testing.T) {
	for name, change := range map[string]func(c *elasticsearch.Config){
		"as it comes": func(*elasticsearch.Config) {},
		"not gzipped": func(c *elasticsearch.Config) { c.Gzip = false },
	} {
		t.Run(name, func(t *testing.T) {
			outputstest.Run(t, outputstest.Harness{
				Secrets: []string{apiKey, "VnVhQ2ZHY0JDZGJrUW0tZTVhT3g6dWkybHAyYXhUTm1zeWFrdzl0dk5udw=="},
				Leaks: []goleak.Option{
					goleak.IgnoreAnyFunction("net/http/httptest.(*Server).goServe.func1"),
					goleak.IgnoreAnyFunction("net/http.(*conn).serve"),
				},
				Setup: func(tb testing.TB) outputstest.Subject { return subject(tb, change) },
			})
		})
	}
}

func subject(tb testing.TB, change func(c *elasticsearch.Config)) outputstest.Subject {
	server := elasticsearchtest.New(tb)
	var mended atomic.Pointer[chan struct{}]
	mend := func() {
		server.Intercept(nil)
		server.Refuse(nil)
		if c := mended.Swap(nil); c != nil {
			close(*c)
		}
	}
	tb.Cleanup(mend)
	return outputstest.Subject{
		New: func() (outputs.Output, error) {
			c := configOf(server)
			c.APIKey = config.NewSecret(apiKey)
			change(&c)
			return elasticsearch.New(c, elasticsearch.Options{})
		},
		Received: func() [][]byte {
			var bodies [][]byte
			for _, d := range server.Documents(".ds-") {
				bodies = append(bodies, d.Source)
			}
			return bodies
		},
		Break: func() {
			server.Intercept(func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
				elasticsearchtest.Fail(w, http.StatusServiceUnavailable, "cluster_block_exception", "no master; you sent "+r.Header.Get("Authorization"))
				return true
			})
		},
		Mend: mend,
		Hang: func() {
			c := make(chan struct{})
			mended.Store(&c)
			server.Intercept(func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
				select {
				case <-c:
				case <-r.Context().Done():
				}
				return true
			})
		},
		Spoil: func(body []byte) []byte { return append(bytes.Clone(body), "no JSON"...) },
		Defer: func(marker string) {
			server.Refuse(func(op elasticsearchtest.Operation) *elasticsearchtest.Refusal {
				if strings.Contains(string(op.Source), marker) {
					return &elasticsearchtest.Refusal{Status: 429, Type: "es_rejected_execution_exception", Reason: "queue is full"}
				}
				return nil
			})
		},
	}
}

func configOf(server *elasticsearchtest.Server) elasticsearch.Config {
	c := elasticsearch.Default()
	c.URLs = []string{server.URL}
	c.Timeout = 10 * time.Second
	return c
}

func mustJSON(tb testing.TB, v any) []byte {
	tb.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}
