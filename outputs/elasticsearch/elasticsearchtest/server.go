// Package elasticsearchtest is an Elasticsearch for tests, as strict as its
// documentation, and as hostile as a test wants it.
//
// It guarantees that it takes only what Elasticsearch 8 takes of what siemrelay sends
// (_bulk with create and index, external versions and sequence numbers, _mget, a
// search by ids, templates, pipelines, indices), that data streams have backing
// indices of which ids are unique, and that whatever a test makes go wrong goes wrong
// at the place it names. It refuses to analyse or search texts: for that there is a
// real node.
package elasticsearchtest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Document is what an index has under an id.
type Document struct {
	Index, ID string
	Version   int64
	SeqNo     int64
	Source    []byte
}

// Operation is one action of a bulk request, as it came.
type Operation struct {
	Action    string
	Index, ID string
	Version   *int64
	Type      string // version_type
	SeqNo     *int64
	Term      *int64
	Source    []byte
}

// Refusal is what an item gets instead of being written.
type Refusal struct {
	Status       int
	Type, Reason string
	CausedBy     string // a type
	// Applied says that it is written all the same.
	Applied bool
	// FailureStore says that it is answered with 201, from the failure store.
	FailureStore bool
}

// Server is a cluster of one node.
type Server struct {
	*httptest.Server

	mu         sync.Mutex
	documents  map[string]map[string]*Document // by index
	streams    map[string][]string             // the indices of each, the last is written to
	objects    map[string]json.RawMessage      // templates and pipelines, by path
	seqNo      int64
	hidden     map[string]bool // ids that no search finds yet
	requests   []string
	authorized string
	product    string
	version    string
	intercept  func(w http.ResponseWriter, r *http.Request, body []byte) bool
	refuse     func(op Operation) *Refusal
	writes     map[string]int
	changes    []string
	policies   bool
	closed     map[string]bool // indices
}

// New starts a server that takes everything. The test ends it.
func New(tb testing.TB) *Server {
	s := &Server{
		documents: map[string]map[string]*Document{}, streams: map[string][]string{}, objects: map[string]json.RawMessage{},
		hidden: map[string]bool{}, writes: map[string]int{}, closed: map[string]bool{}, product: "Elasticsearch", version: "8.19.7",
	}
	s.Server = httptest.NewServer(s)
	tb.Cleanup(s.Close)
	return s
}

// NewTLS is New over TLS; change may set certificates first.
func NewTLS(tb testing.TB, change func(*httptest.Server)) *Server {
	s := New(tb)
	s.Close()
	s.Server = httptest.NewUnstartedServer(s)
	if change != nil {
		change(s.Server)
	}
	s.StartTLS()
	tb.Cleanup(s.Close)
	return s
}

// with changes the server between two requests.
func (s *Server) with(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// Authorize asks for this Authorization header from now on; "" for none.
func (s *Server) Authorize(header string) { s.with(func() { s.authorized = header }) }

// Product changes what the server says it is: "Elasticsearch", "opensearch", or else.
func (s *Server) Product(name, version string) {
	s.with(func() { s.product, s.version = name, version })
}

// Intercept gives every request to f first; true means that it was answered.
func (s *Server) Intercept(f func(w http.ResponseWriter, r *http.Request, body []byte) bool) {
	s.with(func() { s.intercept = f })
}

// Refuse asks f about every operation first; nil means that it goes on.
func (s *Server) Refuse(f func(op Operation) *Refusal) { s.with(func() { s.refuse = f }) }

// Hide keeps an id from being found by a search, as a document is until a refresh.
func (s *Server) Hide(id string, hide bool) { s.with(func() { s.hidden[id] = hide }) }

// Closed closes an index of a data stream to searches, or opens it again.
func (s *Server) Closed(index string, closed bool) { s.with(func() { s.closed[index] = closed }) }

// Rollover gives a data stream a new index to write to.
func (s *Server) Rollover(stream string) {
	s.with(func() { s.backing(stream, true) })
}

// Requests are the methods and paths so far.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Documents returns what is in the indices whose name contains part, in the order in
// which they were written.
func (s *Server) Documents(part string) []Document {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Document
	for index, documents := range s.documents {
		if !strings.Contains(index, part) {
			continue
		}
		for _, d := range documents {
			list = append(list, *d)
		}
	}
	slices.SortFunc(list, func(a, b Document) int { return int(a.SeqNo - b.SeqNo) })
	return list
}

// Objects are the templates, pipelines and policies, by path.
func (s *Server) Objects() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]string{}
	for path, body := range s.objects {
		out[path] = string(body)
	}
	return out
}

// Policies says that there is index state management.
func (s *Server) Policies() { s.with(func() { s.policies = true }) }

// Changes are the changes of mappings, settings and lifecycles: path and body.
func (s *Server) Changes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.changes)
}

// Put puts a template or pipeline at a path.
func (s *Server) Put(path, body string) {
	s.with(func() { s.objects[path] = json.RawMessage(body) })
}

// Writes is how often a document was written, by index and id.
func (s *Server) Writes(index, id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes[index+"/"+id]
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var from io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		from = z
	}
	body, err := io.ReadAll(from)
	if err != nil {
		return // the client went away
	}
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	intercept, authorized, product := s.intercept, s.authorized, s.product
	s.mu.Unlock()
	if product == "Elasticsearch" {
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
	}
	if intercept != nil && intercept(w, r, body) {
		return
	}
	if authorized != "" && r.Header.Get("Authorization") != authorized {
		Fail(w, http.StatusUnauthorized, "security_exception", "unable to authenticate with provided credentials")
		return
	}
	if len(body) > 0 && strings.Contains(r.Header.Get("Content-Type"), "vnd.elasticsearch") {
		Fail(w, http.StatusNotAcceptable, "media_type_header_exception", "Invalid media-type value on headers")
		return
	}
	s.Serve(w, r, body)
}

// Serve answers a request as Elasticsearch does, for a test that has intercepted it.
func (s *Server) Serve(w http.ResponseWriter, r *http.Request, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch path := r.URL.Path; {
	case path == "/":
		s.info(w)
	case path == "/_bulk" && r.Method == http.MethodPost:
		s.bulk(w, r, body)
	case path == "/_mget":
		s.mget(w, r, body)
	case strings.HasSuffix(path, "/_search"):
		s.search(w, strings.TrimSuffix(path[1:], "/_search"), r.URL.Query().Get("ignore_unavailable") == "true", body)
	default:
		s.manage(w, r, body)
	}
}

func (s *Server) info(w http.ResponseWriter) {
	version := map[string]any{"number": s.version}
	if s.product == "opensearch" {
		version["distribution"] = "opensearch"
	}
	reply(w, http.StatusOK, map[string]any{"name": "n1", "version": version, "tagline": "You Know, for Search"})
}

// Fail answers with an error as Elasticsearch writes it.
func Fail(w http.ResponseWriter, status int, kind, reason string) {
	e := map[string]any{"type": kind, "reason": reason}
	reply(w, status, map[string]any{
		"error": map[string]any{"root_cause": []any{e}, "type": kind, "reason": reason}, "status": status,
	})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// backing returns the index that a data stream writes to, a new one if asked.
func (s *Server) backing(stream string, fresh bool) string {
	if n := len(s.streams[stream]); n == 0 || fresh {
		name := fmt.Sprintf(".ds-%s-2026.06.19-%06d", stream, n+1)
		s.streams[stream] = append(s.streams[stream], name)
		s.documents[name] = map[string]*Document{}
	}
	return s.streams[stream][len(s.streams[stream])-1]
}

// ingest does what the pipeline does.
func ingest(source []byte) []byte {
	var doc map[string]any
	d := json.NewDecoder(bytes.NewReader(source))
	d.UseNumber()
	if d.Decode(&doc) != nil {
		return source
	}
	event, _ := doc["event"].(map[string]any)
	if event == nil || event["ingested"] != nil {
		return source
	}
	event["ingested"] = time.Now().UTC().Format(time.RFC3339Nano)
	out, err := json.Marshal(doc)
	if err != nil {
		return source
	}
	return out
}
