package elasticsearchtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
)

// meta is what may stand in an action line.
type meta struct {
	Index   string `json:"_index"`
	ID      string `json:"_id"`
	Version *int64 `json:"version"`
	Type    string `json:"version_type"`
	SeqNo   *int64 `json:"if_seq_no"`
	Term    *int64 `json:"if_primary_term"`
}

func (s *Server) bulk(w http.ResponseWriter, r *http.Request, body []byte) {
	if r.Header.Get("Content-Type") != "application/x-ndjson" {
		Fail(w, http.StatusNotAcceptable, "content_type_exception", r.Header.Get("Content-Type"))
		return
	}
	ops, err := Parse(body)
	if err != nil {
		Fail(w, http.StatusBadRequest, "illegal_argument_exception", err.Error())
		return
	}
	items, errors := []any{}, false
	for _, op := range ops {
		item := s.apply(op)
		errors = errors || item["error"] != nil
		items = append(items, map[string]any{op.Action: item})
	}
	reply(w, http.StatusOK, map[string]any{"took": 1, "errors": errors, "items": items})
}

// Parse reads the body of a bulk request.
func Parse(body []byte) ([]Operation, error) {
	if !bytes.HasSuffix(body, []byte("\n")) {
		return nil, fmt.Errorf("The bulk request must be terminated by a newline [\\n]") //nolint:staticcheck // as it is
	}
	lines := bytes.Split(bytes.TrimSuffix(body, []byte("\n")), []byte("\n"))
	if len(lines)%2 != 0 {
		return nil, fmt.Errorf("an action without a document")
	}
	var ops []Operation
	for i := 0; i < len(lines); i += 2 {
		var action map[string]meta
		d := json.NewDecoder(bytes.NewReader(lines[i]))
		d.DisallowUnknownFields()
		if err := d.Decode(&action); err != nil || len(action) != 1 {
			return nil, fmt.Errorf("Malformed action/metadata line [%d]", i+1) //nolint:staticcheck // as it is
		}
		for name, m := range action {
			if name != "create" && name != "index" || m.Index == "" || m.ID == "" {
				return nil, fmt.Errorf("unexpected action line %s", lines[i])
			}
			ops = append(ops, Operation{name, m.Index, m.ID, m.Version, m.Type, m.SeqNo, m.Term, bytes.Clone(lines[i+1])})
		}
	}
	return ops, nil
}

// apply writes one document, or says why not.
func (s *Server) apply(op Operation) map[string]any {
	index, failure := s.target(op)
	if s.refuse != nil {
		if r := s.refuse(op); r != nil {
			if r.Applied {
				s.write(op, index)
			}
			if r.FailureStore {
				return map[string]any{"_index": ".fs-x", "_id": op.ID, "status": 201, "failure_store": "used"}
			}
			return refused(op, *r)
		}
	}
	if failure == nil {
		failure = s.write(op, index)
	}
	if failure != nil {
		return refused(op, *failure)
	}
	d := s.documents[index][op.ID]
	return map[string]any{
		"_index": index, "_id": op.ID, "_version": d.Version, "result": "created", "_seq_no": d.SeqNo, "_primary_term": 1,
		"_shards": map[string]any{"total": 2, "successful": 1, "failed": 0}, "status": 201,
	}
}

func refused(op Operation, r Refusal) map[string]any {
	e := map[string]any{"type": r.Type, "reason": r.Reason}
	if r.CausedBy != "" {
		e["caused_by"] = map[string]any{"type": r.CausedBy, "reason": r.Reason}
	}
	return map[string]any{"_index": op.Index, "_id": op.ID, "status": r.Status, "error": e}
}

// target is the index that an operation writes to.
func (s *Server) target(op Operation) (string, *Refusal) {
	illegal := func(reason string) *Refusal {
		return &Refusal{Status: http.StatusBadRequest, Type: "illegal_argument_exception", Reason: reason}
	}
	backing := strings.HasPrefix(op.Index, ".ds-")
	switch {
	case op.Action == "create" && (op.Version != nil || op.SeqNo != nil):
		return "", illegal("create operations do not support compare and set. use index instead")
	case backing && s.documents[op.Index] == nil:
		return "", &Refusal{Status: http.StatusNotFound, Type: "index_not_found_exception", Reason: "no such index [" + op.Index + "]"}
	case backing && (op.Action != "index" || op.SeqNo == nil || op.Term == nil):
		return "", illegal("index request targeting backing indices is disallowed")
	case backing:
		return op.Index, nil
	case strings.HasPrefix(op.Index, "logs-") && op.Action != "create":
		return "", illegal("only write ops with an op_type of create are allowed in data streams")
	case strings.HasPrefix(op.Index, "logs-"):
		return s.backing(op.Index, false), nil
	}
	if s.documents[op.Index] == nil {
		s.documents[op.Index] = map[string]*Document{}
	}
	return op.Index, nil
}

// write stores a document, by the rules of its version.
func (s *Server) write(op Operation, index string) *Refusal {
	if !json.Valid(op.Source) || !bytes.HasPrefix(bytes.TrimSpace(op.Source), []byte("{")) {
		return &Refusal{Status: http.StatusBadRequest, Type: "document_parsing_exception", Reason: "[1:1] failed to parse", CausedBy: "x_content_parse_exception"}
	}
	old := s.documents[index][op.ID]
	conflict := &Refusal{Status: http.StatusConflict, Type: "version_conflict_engine_exception", Reason: "version conflict, document already exists"}
	version := int64(1)
	if old != nil {
		version = old.Version + 1
	}
	switch {
	case op.Action == "create" && old != nil:
		return conflict
	case op.SeqNo != nil && (old == nil || old.SeqNo != *op.SeqNo || *op.Term != 1):
		return conflict
	case op.Type == "external" || op.Type == "external_gte":
		version = *op.Version
		if old != nil && (version < old.Version || version == old.Version && op.Type == "external") {
			return conflict
		}
	}
	s.seqNo++
	s.writes[op.Index+"/"+op.ID]++
	source := op.Source
	if strings.HasPrefix(index, ".ds-") {
		source = ingest(source)
	}
	s.documents[index][op.ID] = &Document{Index: index, ID: op.ID, Version: version, SeqNo: s.seqNo, Source: source}
	return nil
}

func (s *Server) mget(w http.ResponseWriter, r *http.Request, body []byte) {
	var ask struct {
		Docs []meta `json:"docs"`
	}
	if err := json.Unmarshal(body, &ask); err != nil {
		Fail(w, http.StatusBadRequest, "parse_exception", err.Error())
		return
	}
	docs := []any{}
	for _, m := range ask.Docs {
		d := s.documents[m.Index][m.ID]
		switch {
		case s.documents[m.Index] == nil:
			docs = append(docs, map[string]any{"_index": m.Index, "_id": m.ID, "error": map[string]any{
				"type": "index_not_found_exception", "reason": "no such index [" + m.Index + "]",
			}})
		case d == nil:
			docs = append(docs, map[string]any{"_index": m.Index, "_id": m.ID, "found": false})
		default:
			docs = append(docs, map[string]any{
				"_index": m.Index, "_id": m.ID, "found": true, "_version": d.Version, "_seq_no": d.SeqNo, "_primary_term": 1,
				"_source": included(d.Source, r.URL.Query().Get("_source_includes")),
			})
		}
	}
	reply(w, http.StatusOK, map[string]any{"docs": docs})
}

// included is a document with some dotted fields of it, separated by commas.
func included(source []byte, fields string) map[string]any {
	doc := map[string]any{}
	for field := range strings.SplitSeq(fields, ",") {
		object, name, _ := strings.Cut(field, ".")
		maps.Copy(doc, only(source, object, name))
	}
	return doc
}

// only is a document with one field of it.
func only(source []byte, object, field string) map[string]any {
	var doc map[string]map[string]json.RawMessage
	var all map[string]json.RawMessage
	_ = json.Unmarshal(source, &all)
	doc = map[string]map[string]json.RawMessage{object: {}}
	var inner map[string]json.RawMessage
	if json.Unmarshal(all[object], &inner) == nil && inner[field] != nil {
		doc[object][field] = inner[field]
	}
	if len(doc[object]) == 0 {
		return map[string]any{}
	}
	return map[string]any{object: doc[object]}
}

// search finds documents by their ids. lenient is ignore_unavailable.
func (s *Server) search(w http.ResponseWriter, stream string, lenient bool, body []byte) {
	var ask struct {
		Size  int
		Query struct {
			IDs struct{ Values []string }
		}
		Source  []string `json:"_source"`
		SeqNo   bool     `json:"seq_no_primary_term"`
		Tracked any      `json:"track_total_hits"`
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&ask); err != nil || ask.Size > 10000 {
		Fail(w, http.StatusBadRequest, "parsing_exception", fmt.Sprint(err, ask.Size))
		return
	}
	if s.streams[stream] == nil && !lenient {
		Fail(w, http.StatusNotFound, "index_not_found_exception", "no such index ["+stream+"]")
		return
	}
	hits := []any{}
	for _, index := range s.streams[stream] {
		if s.closed[index] && !lenient {
			Fail(w, http.StatusBadRequest, "index_closed_exception", "closed")
			return
		}
		if s.closed[index] {
			continue
		}
		for _, id := range ask.Query.IDs.Values {
			d := s.documents[index][id]
			if d == nil || s.hidden[id] || len(hits) >= ask.Size {
				continue
			}
			hit := map[string]any{"_index": index, "_id": id, "_score": 1, "_source": only(d.Source, "event", "ingested")}
			if ask.SeqNo {
				hit["_seq_no"], hit["_primary_term"] = d.SeqNo, 1
			}
			hits = append(hits, hit)
		}
	}
	reply(w, http.StatusOK, map[string]any{"took": 1, "timed_out": false, "hits": map[string]any{"hits": hits}})
}
