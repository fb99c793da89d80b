package elasticsearch

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

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
	errBody  = errors.New("body is not a JSON object on one line, which is all that a bulk request can carry")
	errIndex = errors.New("data set or namespace makes no name of a data stream")
)

// newWork refuses what can't even be sent.
func (o *output) newWork(batch []outputs.Message) *work {
	w := &work{config: o.config, batch: batch, ops: o.buffers.ops[:0], results: make([]outputs.Result, len(batch))}
	for i := range batch {
		m := &batch[i]
		switch {
		case !isDocument(m.Body) || len(m.State) > 0 && !isDocument(m.State):
			w.results[i] = outputs.Result{Status: outputs.Refused, Err: errBody}
		case o.streams.of(m, o.config.Namespace) == "" || !isID(m.ID):
			w.results[i] = outputs.Result{Status: outputs.Refused, Err: errIndex}
		case !m.Overwrite:
			w.create(i, o.streams.of(m, o.config.Namespace), m.Body)
		}
	}
	return w
}

// streams are the names of the data streams that events went to lately: of many events
// they are few.
type streams map[streamParts]string

type streamParts struct{ dataset, namespace string }

// maxStreams is how many names are kept.
const maxStreams = 1000

// of is the name of the data stream of a message, "" if there can be none.
func (s *streams) of(m *outputs.Message, namespace string) string {
	parts := streamParts{m.Dataset, cmp.Or(m.Namespace, namespace)}
	if name, known := (*s)[parts]; known {
		return name
	}
	if *s == nil || len(*s) >= maxStreams {
		*s = streams{}
	}
	name := stream(*m, namespace)
	if !isIndex(name) {
		name = ""
	}
	(*s)[streamParts{strings.Clone(parts.dataset), strings.Clone(parts.namespace)}] = name
	return name
}

// isDocument looks whether the request stays what it is with the body in it. The rest
// of JSON the cluster looks at, which takes a third of the time that sending does; see
// also spoiled.
func isDocument(body []byte) bool {
	return len(body) > 1 && body[0] == '{' && body[len(body)-1] == '}' &&
		bytes.IndexByte(body, '\n') < 0 && bytes.IndexByte(body, '\r') < 0
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
func (w *work) create(i int, stream string, doc []byte) {
	w.ops = append(w.ops, operation{msg: i, action: "create", index: stream, id: w.batch[i].ID, doc: doc})
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

var newline = []byte{'\n'}

// encode makes the body of a bulk request, in parts that are good until the next use of b or
// of the batch; size is that of all.
func (b *buffers) encode(ops []operation) (parts [][]byte, size int) {
	room := 0
	for i := range ops {
		room += len(ops[i].index) + len(ops[i].id) + 160
	}
	heads := slices.Grow(b.heads[:0], room)
	b.parts = b.parts[:0]
	for i := range ops {
		start := len(heads)
		heads = ops[i].appendHead(heads)
		b.parts = append(b.parts, heads[start:], ops[i].doc, newline)
		size += len(heads) - start + len(ops[i].doc) + 1
	}
	b.heads = heads
	return b.parts, size
}

// appendHead writes the action line. Without the doc it is shorter than index and id
// and 160 bytes.
func (op *operation) appendHead(b []byte) []byte {
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
	return append(b, "}}\n"...)
}
