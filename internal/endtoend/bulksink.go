package endtoend

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
)

// BulkSink is an Elasticsearch endpoint that knows _bulk with create, as a data
// stream takes it: it keeps one document for each _id, answers a second one with 409,
// and writes each new document to a file before it confirms it.
type BulkSink struct {
	sink
	http *http.Server

	once sync.Mutex // one bulk request at a time, as one primary shard has it
	ids  map[string]bool
	// conflicts is how many documents were there already; guarded by once.
	conflicts int
}

// NewBulkSink starts one on a free port of 127.0.0.1 that writes to the file at path.
func NewBulkSink(path string) (*BulkSink, error) {
	s := &BulkSink{ids: map[string]bool{}}
	s.http = &http.Server{Handler: http.HandlerFunc(s.handle)}
	s.serve = s.connection
	return s, s.open(path, "127.0.0.1:0")
}

// Output is an output of the relay to it.
func (s *BulkSink) Output(name string, maxEvents int) Output {
	return Output{
		Name: name, Format: "ecs", Path: s.Path(), MaxEvents: maxEvents, Type: "elasticsearch",
		Settings: fmt.Sprintf("{urls: [%q], namespace: endtoend, timeout: 5s}", "http://"+s.Address()),
	}
}

// Conflicts is how many documents came that were there already.
func (s *BulkSink) Conflicts() int {
	s.once.Lock()
	defer s.once.Unlock()
	return s.conflicts
}

// connection serves one connection to its end: the sink owns the listener.
func (s *BulkSink) connection(c net.Conn) {
	one := &single{conn: &watched{Conn: c, ended: make(chan struct{})}, address: c.LocalAddr()}
	_ = s.http.Serve(one) // it returns at once when there is no second connection
	<-one.conn.ended
}

// single is a listener of one connection.
type single struct {
	conn    *watched
	taken   bool
	address net.Addr
}

func (l *single) Accept() (net.Conn, error) {
	if l.taken {
		return nil, net.ErrClosed
	}
	l.taken = true
	return l.conn, nil
}
func (l *single) Close() error   { return nil }
func (l *single) Addr() net.Addr { return l.address }

// watched tells when it was closed.
type watched struct {
	net.Conn
	once  sync.Once
	ended chan struct{}
}

func (c *watched) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { close(c.ended) })
	return err
}

func (s *BulkSink) handle(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Elastic-Product", "Elasticsearch")
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.URL.Path == "/" && r.Method == http.MethodGet:
		io.WriteString(w, `{"name":"n1","version":{"number":"8.19.0"},"tagline":"You Know, for Search"}`)
	case r.URL.Path == "/_bulk" && r.Method == http.MethodPost:
		s.bulk(w, r)
	default:
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"error":{"type":"resource_not_found_exception","reason":"not here"},"status":404}`)
	}
}

func (s *BulkSink) bulk(w http.ResponseWriter, r *http.Request) {
	from := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return
		}
		from = z
	}
	body, err := io.ReadAll(from)
	if err != nil {
		return // the relay is gone: a request that did not come whole is none
	}
	s.once.Lock()
	defer s.once.Unlock()
	var items bytes.Buffer
	failed := false
	for rest := body; len(rest) > 0; {
		var action, source []byte
		action, rest, _ = bytes.Cut(rest, []byte("\n"))
		source, rest, _ = bytes.Cut(rest, []byte("\n"))
		var op struct {
			Create *struct {
				ID string `json:"_id"`
			}
		}
		if err := json.Unmarshal(action, &op); err != nil || op.Create == nil || op.Create.ID == "" || len(source) == 0 {
			s.problem("no create with an _id: %.200q", action)
			http.Error(w, `{"status":400}`, http.StatusBadRequest)
			return
		}
		if items.Len() > 0 {
			items.WriteByte(',')
		}
		created, err := s.create(op.Create.ID, source)
		if err != nil {
			http.Error(w, `{"status":500}`, http.StatusInternalServerError)
			return
		}
		if created {
			fmt.Fprintf(&items, `{"create":{"_id":%q,"status":201,"result":"created"}}`, op.Create.ID)
			continue
		}
		failed = true
		fmt.Fprintf(&items, `{"create":{"_id":%q,"status":409,"error":{"type":"version_conflict_engine_exception","reason":"document already exists"}}}`, op.Create.ID)
	}
	if s.flush() == nil {
		fmt.Fprintf(w, `{"took":1,"errors":%v,"items":[%s]}`, failed, items.Bytes())
	}
}

// create keeps a document, unless there is one of that id.
func (s *BulkSink) create(id string, source []byte) (bool, error) {
	if !bytes.Contains(source, fmt.Appendf(nil, `"id":%q`, id)) {
		s.problem("the document of _id %s has another event.id: %.200q", id, source)
	}
	if s.ids[id] {
		s.conflicts++
		return false, nil
	}
	s.ids[id] = true
	return true, s.record(source)
}
