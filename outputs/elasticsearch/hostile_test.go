package elasticsearch_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/elasticsearch"
	"github.com/siemrelay/siemrelay/outputs/elasticsearch/elasticsearchtest"
)

// TestHostile: everything that can go wrong goes wrong, in random order, on the way
// there and back. Nothing is lost, nothing is there twice, and the dead letters are
// exactly the events of which the type of an error said so.
func TestHostile(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := newDice(seed)
			server := elasticsearchtest.New(t)
			path := filepath.Join(t.TempDir(), "key")
			write := func(key string) {
				if err := os.WriteFile(path, []byte(key), 0o600); err != nil {
					t.Fatal(err)
				}
				server.Authorize("ApiKey " + base64.StdEncoding.EncodeToString([]byte(key)))
			}
			write("id:first")
			clock := start
			secret, err := config.NewSecretFile(path, config.Options{Now: func() time.Time { return clock }})
			if err != nil {
				t.Fatal(err)
			}
			c := configOf(server)
			c.Latest, c.APIKey = true, secret
			out := newOutput(t, c)

			m := newMaker(t)
			doomed, events := map[string]bool{}, map[string]bool{}
			var batches [][]outputs.Message
			for range 40 {
				var batch []outputs.Message
				for range 1 + r.IntN(60) {
					x := m.message(threat(fmt.Sprint("h", r.IntN(30)), []string{"create", "update", "closed"}[r.IntN(3)], "detected", ""))
					events[x.ID] = true
					doomed[x.ID] = r.IntN(25) == 0
					batch = append(batch, x)
				}
				batches = append(batches, batch)
			}
			server.Refuse(func(op elasticsearchtest.Operation) *elasticsearchtest.Refusal {
				if doomed[op.ID] {
					return &elasticsearchtest.Refusal{Status: 400, Type: "document_parsing_exception", Reason: "failed to parse"}
				}
				if r.IntN(4) > 0 {
					return nil
				}
				return mishap(r)
			})
			server.Intercept(func(w http.ResponseWriter, q *http.Request, body []byte) bool { return disaster(w, q, body, server, r) })
			sent := 0
			for i, batch := range batches {
				if i%10 == 5 {
					write(fmt.Sprintf("id:number%d", i))
				}
				got := deliver(t, out, batch, func() { clock = clock.Add(2 * time.Second) })
				if len(got.done)+len(got.refused) != len(batch) {
					t.Fatalf("%d done and %d refused of %d", len(got.done), len(got.refused), len(batch))
				}
				for id, why := range got.refused {
					if !doomed[id] {
						t.Errorf("event %s is a dead letter: %v", id, why)
					}
				}
				sent += got.sends
			}
			there := map[string]bool{}
			for _, d := range server.Documents(".ds-") {
				there[d.ID] = true
			}
			for id := range events {
				if there[id] == doomed[id] {
					t.Errorf("event %s is there: %t, doomed: %t", id, there[id], doomed[id])
				}
				if n := server.Writes("logs-defensecom.threat-default", id); n > 1 {
					t.Errorf("event %s was written %d times", id, n)
				}
			}
			if sent < 3*len(batches) {
				t.Errorf("only %d sends: that was not hostile", sent)
			}
		})
	}
}

// mishap is what may happen to one operation and be over the next time.
func mishap(r *dice) *elasticsearchtest.Refusal {
	list := []elasticsearchtest.Refusal{
		{Status: 429, Type: "es_rejected_execution_exception", Reason: "queue"},
		{Status: 403, Type: "cluster_block_exception", Reason: "blocked by: [FORBIDDEN/12/index read-only / allow delete (api)];"},
		{Status: 503, Type: "unavailable_shards_exception", Reason: "no shard", Applied: true},
		{Status: 400, Type: "index_closed_exception", Reason: "closed"},
		{Status: 400, Type: "illegal_argument_exception", Reason: "pipeline with id [x] does not exist"},
		{Status: 404, Type: "index_not_found_exception", Reason: "no such index [x]"},
		{Status: 500, Type: "null_pointer_exception", Reason: "x", Applied: true},
		{Status: 400, Type: "some_future_exception", Reason: "x"},
	}
	return &list[r.IntN(len(list))]
}

// disaster is what may happen to a whole request; some do it all the same.
func disaster(w http.ResponseWriter, q *http.Request, body []byte, server *elasticsearchtest.Server, r *dice) bool {
	if q.URL.Path != "/_bulk" {
		return r.IntN(10) == 0 && fail(w, http.StatusServiceUnavailable)
	}
	ops, err := elasticsearchtest.Parse(body)
	switch n := r.IntN(24); {
	case err != nil:
		return false
	case n == 0:
		return fail(w, http.StatusTooManyRequests)
	case n == 1:
		return fail(w, http.StatusBadGateway)
	case n == 2 && len(ops) > 4, len(ops) > 100:
		return fail(w, http.StatusRequestEntityTooLarge)
	case n == 3:
		panic(http.ErrAbortHandler)
	case n == 4:
		_, _ = io.WriteString(w, "<html>are you a robot?</html>")
		return true
	case n < 8: // it is written, and the reply is lost on the way
		answer := &recorder{header: http.Header{}}
		server.Serve(answer, q, body)
		text := answer.String()
		switch n {
		case 5:
			_, _ = io.WriteString(w, text[:len(text)/2])
		case 6:
			w.Header().Set("Content-Length", fmt.Sprint(len(text)))
			_, _ = io.WriteString(w, text[:len(text)-1])
		case 7:
			_, _ = io.WriteString(w, strings.Replace(text, `"_id":"`, `"_id":"f`, 1))
		}
		return true
	}
	return false
}

func fail(w http.ResponseWriter, status int) bool {
	elasticsearchtest.Fail(w, status, "x", "not now")
	return true
}

// recorder keeps an answer instead of sending it.
type recorder struct {
	strings.Builder
	header http.Header
}

func (r *recorder) Header() http.Header { return r.header }
func (r *recorder) WriteHeader(int)     {}

// TestKeyRotation: a key that is not taken any more pauses the output, and a new one
// in the file ends that.
func TestKeyRotation(t *testing.T) {
	server := elasticsearchtest.New(t)
	path := filepath.Join(t.TempDir(), "key")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	encoded := func(key string) string { return base64.StdEncoding.EncodeToString([]byte(key)) }
	write(encoded("id:old") + "\n")
	clock := start
	secret, err := config.NewSecretFile(path, config.Options{Now: func() time.Time { return clock }})
	if err != nil {
		t.Fatal(err)
	}
	c := configOf(server)
	c.APIKey = secret
	out, m := newOutput(t, c), newMaker(t)
	server.Authorize("ApiKey " + encoded("id:old"))
	send := func() error {
		clock = clock.Add(2 * time.Second)
		return out.Send(context.Background(), []outputs.Message{m.message(threat("a", "update", "detected", ""))})
	}
	if err := send(); err != nil {
		t.Fatal(err)
	}
	server.Authorize("ApiKey " + encoded("id:new"))
	var notReady *outputs.NotReady
	if err := send(); !errors.As(err, &notReady) || !strings.Contains(err.Error(), "api_key") || strings.Contains(err.Error(), "old") {
		t.Errorf("got %v", err)
	}
	write("id:new") // both forms of a key will do
	if err := send(); err != nil {
		t.Error(err)
	}
}

func TestBasicAuth(t *testing.T) {
	server := elasticsearchtest.New(t)
	server.Authorize("Basic " + base64.StdEncoding.EncodeToString([]byte("siem:pass word")))
	c := configOf(server)
	c.Username, c.Password = "siem", config.NewSecret("pass word")
	if err := newOutput(t, c).Send(context.Background(), []outputs.Message{newMaker(t).message("{}")}); err != nil {
		t.Error(err)
	}
}

// TestProduct: who answers must be who the configuration means.
func TestProduct(t *testing.T) {
	for name, x := range map[string]struct {
		product, flavor string
		want            string // of the error
	}{
		"elasticsearch": {"Elasticsearch", "auto", ""}, "elasticsearch, said": {"Elasticsearch", "elasticsearch", ""},
		"opensearch": {"opensearch", "auto", ""}, "opensearch, said": {"opensearch", "opensearch", ""},
		"elasticsearch for opensearch": {"Elasticsearch", "opensearch", "this is elasticsearch"},
		"opensearch for elasticsearch": {"opensearch", "elasticsearch", "set flavor to opensearch"},
		"something else":               {"", "auto", "neither Elasticsearch nor OpenSearch"},
		"something else, said":         {"", "elasticsearch", "look whether urls is right"},
	} {
		t.Run(name, func(t *testing.T) {
			server := elasticsearchtest.New(t)
			server.Product(x.product, "2.19.6")
			c := configOf(server)
			c.Flavor = x.flavor
			out, m := newOutput(t, c), newMaker(t)
			for range 2 {
				err := out.Send(context.Background(), []outputs.Message{m.message("{}")})
				var notReady *outputs.NotReady
				if (err == nil) != (x.want == "") || err != nil && (!errors.As(err, &notReady) || !strings.Contains(err.Error(), x.want)) {
					t.Errorf("got %v", err)
				}
			}
			asked := 0
			for _, q := range server.Requests() {
				if q == "GET /" {
					asked++
				}
			}
			if x.want == "" && asked > 1 {
				t.Errorf("asked %d times who it is", asked)
			}
		})
	}
}

// TestAPageInstead: a web server in the place of the cluster is told from one between.
func TestAPageInstead(t *testing.T) {
	server := elasticsearchtest.New(t)
	server.Product("", "")
	server.Intercept(func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		_, _ = io.WriteString(w, "<html>It works!</html>")
		return true
	})
	out, m := newOutput(t, configOf(server)), newMaker(t)
	var notReady *outputs.NotReady
	batch := []outputs.Message{m.message("{}")}
	if err := out.Send(context.Background(), batch); !errors.As(err, &notReady) {
		t.Errorf("got %v", err)
	}
	server.Product("Elasticsearch", "8.19.7")
	server.Intercept(nil)
	if err := out.Send(context.Background(), batch); err != nil {
		t.Error(err)
	}
	server.Intercept(func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		w.Header().Del("X-Elastic-Product")
		_, _ = io.WriteString(w, "<html>Proxy</html>")
		return true
	})
	if err := out.Send(context.Background(), batch); err == nil || errors.As(err, &notReady) {
		t.Errorf("a proxy's page after that: got %v", err)
	}
}

// TestSeveralNodes: one node that is down stops nothing.
func TestSeveralNodes(t *testing.T) {
	server, dead := elasticsearchtest.New(t), elasticsearchtest.New(t)
	dead.Close()
	c := configOf(server)
	c.URLs = []string{dead.URL, server.URL}
	out, m := newOutput(t, c), newMaker(t)
	failed := 0
	for range 10 {
		if err := out.Send(context.Background(), []outputs.Message{m.message("{}")}); err != nil {
			failed++
		}
	}
	if failed > 1 {
		t.Errorf("%d of 10 sends failed", failed)
	}
}

// TestTimeout: a node that is silent costs no more than the time that was given.
func TestTimeout(t *testing.T) {
	server := elasticsearchtest.New(t)
	server.Intercept(func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
		<-r.Context().Done()
		return true
	})
	c := configOf(server)
	c.Timeout = 50 * time.Millisecond
	err := newOutput(t, c).Send(context.Background(), []outputs.Message{newMaker(t).message("{}")})
	if !errors.Is(err, context.DeadlineExceeded) || !outputs.IsTransient(err) || !strings.Contains(err.Error(), "50ms") {
		t.Errorf("got %v", err)
	}
}

// TestOverwriteUnseen: a document that no search finds yet is not taken for missing.
func TestOverwriteUnseen(t *testing.T) {
	server := elasticsearchtest.New(t)
	out, m := newOutput(t, configOf(server)), newMaker(t)
	x := m.message(threat("a", "update", "detected", ""))
	if err := out.Send(context.Background(), []outputs.Message{x}); err != nil {
		t.Fatal(err)
	}
	x.Overwrite, x.Body = true, []byte(strings.Replace(string(x.Body), "detected", "assigned", 1))
	server.Hide(x.ID, true)
	tries := 0
	got := deliver(t, out, []outputs.Message{x, x}, func() {
		if tries++; tries == 3 {
			server.Hide(x.ID, false)
		}
	})
	if len(got.done) != 2 || tries < 3 {
		t.Errorf("%d done after %d tries", len(got.done), tries)
	}
	if list := server.Documents(".ds-"); len(list) != 1 || !strings.Contains(string(list[0].Source), "assigned") {
		t.Errorf("there is %v", list)
	}
}

// TestConfig: mistakes are told, and no password is.
func TestConfig(t *testing.T) {
	good := elasticsearch.Default()
	good.URLs = []string{"https://es.example.com:9200"}
	for name, x := range map[string]struct {
		change func(c *elasticsearch.Config)
		want   string
	}{
		"good":              {func(*elasticsearch.Config) {}, ""},
		"no urls":           {func(c *elasticsearch.Config) { c.URLs = nil }, "urls is missing"},
		"urls and cloud id": {func(c *elasticsearch.Config) { c.CloudID = "x:ZXUtd2VzdC0xLmF3cy5mb3VuZC5pbyQxMjM=" }, "cloud_id is given together"},
		"cloud id":          {func(c *elasticsearch.Config) { c.URLs, c.CloudID = nil, "x:ZXUtd2VzdC0xLmF3cy5mb3VuZC5pbyQxMjM=" }, ""},
		"no cloud id":       {func(c *elasticsearch.Config) { c.URLs, c.CloudID = nil, "x:y:z" }, "is no Cloud ID"},
		"no host":           {func(c *elasticsearch.Config) { c.URLs = []string{"es:9200"} }, "urls[0] is no address"},
		"password in url":   {func(c *elasticsearch.Config) { c.URLs = []string{"https://u:hunter2@es:9200"} }, "urls[0] has a user name"},
		"query":             {func(c *elasticsearch.Config) { c.URLs = []string{"https://es:9200/?pretty"} }, "has a query"},
		"flavor":            {func(c *elasticsearch.Config) { c.Flavor = "solr" }, `flavor "solr" is unknown`},
		"namespace":         {func(c *elasticsearch.Config) { c.Namespace = "a-b" }, "is no namespace"},
		"two logins": {func(c *elasticsearch.Config) {
			c.APIKey, c.Username, c.Password = config.NewSecret("hunter2"), "u", config.NewSecret("p")
		}, "api_key is given together"},
		"no password":         {func(c *elasticsearch.Config) { c.Username = "u" }, "password is missing"},
		"no username":         {func(c *elasticsearch.Config) { c.Password = config.NewSecret("hunter2") }, "username is missing"},
		"key for opensearch":  {func(c *elasticsearch.Config) { c.APIKey, c.Flavor = config.NewSecret("hunter2"), "opensearch" }, "OpenSearch does not know"},
		"fingerprint":         {func(c *elasticsearch.Config) { c.TLS.Fingerprint = "abc" }, "is no SHA-256"},
		"half a client":       {func(c *elasticsearch.Config) { c.TLS.CertFile = "x" }, "tls.key_file is missing"},
		"other half":          {func(c *elasticsearch.Config) { c.TLS.KeyFile = "x" }, "tls.cert_file is missing"},
		"trust all, and some": {func(c *elasticsearch.Config) { c.TLS.InsecureSkipVerify, c.TLS.CAFile = true, "x" }, "not used"},
		"timeout":             {func(c *elasticsearch.Config) { c.Timeout = 0 }, "timeout"},
	} {
		c := good
		x.change(&c)
		out, err := elasticsearch.New(c, elasticsearch.Options{})
		if err == nil {
			_ = out.Close()
		}
		if (err == nil) != (x.want == "") || err != nil && (!strings.Contains(err.Error(), x.want) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
