package elasticsearch

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/valyala/fastjson"

	"github.com/siemrelay/siemrelay/outputs"
)

// operation is one action of a bulk request.
type operation struct {
	// msg is the index of the message whose document it is.
	msg int
	// action is "create" or "index".
	action string
	// index and id need no escaping in JSON: see isIndex, and an id is hexadecimal digits.
	index, id string
	doc       []byte
	// version and versionType are an external version; "" for none.
	version     int64
	versionType string
	// at is the place in the index's history at which alone it may happen, for a
	// document that was looked up.
	at *place
	// others are messages of the same record that share the outcome of a state.
	state  bool
	others []int
}

// place is the last change of a document that was looked up.
type place struct{ seqNo, primaryTerm int64 }

// work is a batch on its way through Send.
type work struct {
	config  Config
	batch   []outputs.Message
	ops     []operation
	results []outputs.Result
}

// isIndex tells whether a name may be that of an index or data stream: whatever
// Elasticsearch takes, which is whatever the configuration takes as the namespace of a
// company (https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-indices-create).
// Such a name needs no escaping in JSON.
func isIndex(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= 255 && !strings.ContainsRune("-_+", rune(name[0])) &&
		utf8.ValidString(name) && strings.ToLower(name) == name && !strings.ContainsAny(name, `\/*?"<>|,#:`) &&
		!strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}

var (
	errBody  = errors.New("body is not one JSON object on one line, which is all that a bulk request can carry")
	errIndex = errors.New("data set or namespace makes no name of a data stream")
)

// newWork refuses what can't even be sent.
func newWork(batch []outputs.Message, c Config) *work {
	w := &work{config: c, batch: batch, results: make([]outputs.Result, len(batch))}
	for i, m := range batch {
		switch {
		case !isDocument(m.Body) || len(m.State) > 0 && !isDocument(m.State):
			w.results[i] = outputs.Result{Status: outputs.Refused, Err: errBody}
		case !isIndex(stream(m, c)) || !isID(m.ID):
			w.results[i] = outputs.Result{Status: outputs.Refused, Err: errIndex}
		case !m.Overwrite:
			w.create(i, m.Body)
		}
	}
	return w
}

// isDocument looks for itself: where an ingest pipeline can't read one document,
// OpenSearch 2.19 refuses the others of the request too.
func isDocument(body []byte) bool {
	return len(body) > 0 && body[0] == '{' && !bytes.ContainsAny(body, "\r\n") && fastjson.ValidateBytes(body) == nil
}

func isID(id string) bool {
	for _, c := range []byte(id) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return id != ""
}

// create plans to create the document of an event.
func (w *work) create(i int, doc []byte) {
	m := w.batch[i]
	w.ops = append(w.ops, operation{msg: i, action: "create", index: stream(m, w.config), id: m.ID, doc: doc})
}

// put off plans to send a message again.
func (w *work) putOff(i int, why error) {
	w.note(i, outputs.Result{Status: outputs.Retry, Err: why})
}

// note keeps the worse of what is known about a message and r.
func (w *work) note(i int, r outputs.Result) {
	if r.Status > w.results[i].Status {
		w.results[i] = r
	}
}

// settle notes what an item of the reply means for its message.
func (w *work) settle(op operation, x item, clean func(string) string) {
	var r outputs.Result
	switch {
	case x.Status != http.StatusConflict || x.Error == nil || x.Error.Type != "version_conflict_engine_exception":
		r = judge(x, clean)
	case op.at != nil || w.batch[op.msg].Overwrite && !op.state:
		// Somebody changed the document since it was looked up, or it could not be found yet.
		r = outputs.Result{Status: outputs.Retry, Err: &outputs.Transient{Err: errors.New("the document changed since it was looked up")}}
	}
	if op.state && r.Err != nil {
		r.Err = fmt.Errorf("latest state: %w", r.Err)
	}
	w.note(op.msg, r)
	if r.Status == outputs.Refused { // the states before it may be taken
		r = outputs.Result{Status: outputs.Retry, Err: &outputs.Transient{Err: r.Err}}
	}
	for _, i := range op.others {
		w.note(i, r)
	}
}

// outcome is what Send returns.
func (w *work) outcome() error {
	var n [3]int
	for _, r := range w.results {
		n[r.Status]++
	}
	if n[outputs.Done] == len(w.batch) {
		return nil
	}
	if notReady := w.waiting(); notReady != nil {
		return notReady
	}
	return &outputs.Partial{Results: w.results}
}

// waiting is why each message of the batch waits for somebody; nil if one doesn't.
// That all were refused alike is no such reason: what is left of a batch may be its
// poison, and whose fault it is the relay finds out by what comes behind it.
func (w *work) waiting() *outputs.NotReady {
	var first *outputs.NotReady
	for _, r := range w.results {
		var notReady *outputs.NotReady
		if r.Status != outputs.Retry || !errors.As(r.Err, &notReady) {
			return nil
		}
		if first == nil {
			first = notReady
		}
	}
	return first
}

// encode writes the body of a bulk request.
func encode(ops []operation) []byte {
	size := 0
	for _, op := range ops {
		size += len(op.doc) + len(op.index) + len(op.id) + 160
	}
	b := make([]byte, 0, size) // never used again: a request that failed may still be reading it
	for _, op := range ops {
		b = append(b, `{"`...)
		b = append(b, op.action...)
		b = append(b, `":{"_index":"`...)
		b = append(b, op.index...)
		b = append(b, `","_id":"`...)
		b = append(b, op.id...)
		b = append(b, '"')
		if op.versionType != "" {
			b = append(b, `,"version":`...)
			b = strconv.AppendInt(b, op.version, 10)
			b = append(b, `,"version_type":"`...)
			b = append(b, op.versionType...)
			b = append(b, '"')
		}
		if op.at != nil {
			b = append(b, `,"if_seq_no":`...)
			b = strconv.AppendInt(b, op.at.seqNo, 10)
			b = append(b, `,"if_primary_term":`...)
			b = strconv.AppendInt(b, op.at.primaryTerm, 10)
		}
		b = append(b, "}}\n"...)
		b = append(b, op.doc...)
		b = append(b, '\n')
	}
	return b
}
