package elasticsearchtest

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// manage keeps templates, pipelines and policies, and makes indices.
func (s *Server) manage(w http.ResponseWriter, r *http.Request, body []byte) {
	path := r.URL.Path
	folder, name, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch {
	case strings.HasPrefix(path, "/_component_template/"), strings.HasPrefix(path, "/_index_template/"), strings.HasPrefix(path, "/_ingest/pipeline/"):
		s.object(w, r, body)
	case strings.HasPrefix(path, "/_plugins/_ism/policies/") && s.policies:
		s.policy(w, r, body)
	case strings.HasPrefix(path, "/_plugins/"):
		Fail(w, http.StatusBadRequest, "illegal_argument_exception", "no handler found for uri ["+path+"] and method ["+r.Method+"]")
	case strings.HasPrefix(path, "/_data_stream/") && r.Method == http.MethodGet:
		list := []any{}
		for _, name := range slices.Sorted(maps.Keys(s.streams)) {
			list = append(list, map[string]any{"name": name})
		}
		reply(w, http.StatusOK, map[string]any{"data_streams": list})
	case (name == "_mapping" || name == "_settings" || strings.HasSuffix(path, "/_lifecycle")) && r.Method == http.MethodPut:
		s.changes = append(s.changes, path+" "+string(body))
		reply(w, http.StatusOK, map[string]any{"acknowledged": true})
	case name == "" && r.Method == http.MethodGet && s.documents[folder] == nil:
		Fail(w, http.StatusNotFound, "index_not_found_exception", "no such index ["+folder+"]")
	case name == "" && r.Method == http.MethodGet:
		reply(w, http.StatusOK, map[string]any{folder: map[string]any{}})
	case name == "" && r.Method == http.MethodPut && s.documents[folder] != nil:
		Fail(w, http.StatusBadRequest, "resource_already_exists_exception", "index ["+folder+"] already exists")
	case name == "" && r.Method == http.MethodPut:
		s.documents[folder] = map[string]*Document{}
		reply(w, http.StatusOK, map[string]any{"acknowledged": true, "shards_acknowledged": true, "index": folder})
	default:
		Fail(w, http.StatusBadRequest, "illegal_argument_exception", "no handler found for uri ["+path+"] and method ["+r.Method+"]")
	}
}

func (s *Server) object(w http.ResponseWriter, r *http.Request, body []byte) {
	path := r.URL.Path
	parts := strings.Split(path, "/")
	name := parts[len(parts)-1]
	if r.Method == http.MethodPut {
		if !json.Valid(body) {
			Fail(w, http.StatusBadRequest, "parse_exception", "no JSON")
			return
		}
		s.objects[path] = json.RawMessage(body)
		reply(w, http.StatusOK, map[string]any{"acknowledged": true})
		return
	}
	got, ok := s.objects[path]
	switch {
	case !ok && parts[1] == "_ingest":
		reply(w, http.StatusNotFound, map[string]any{})
	case !ok:
		Fail(w, http.StatusNotFound, "resource_not_found_exception", "template matching ["+name+"] not found")
	case parts[1] == "_ingest":
		reply(w, http.StatusOK, map[string]any{name: got})
	case parts[1] == "_index_template":
		reply(w, http.StatusOK, map[string]any{"index_templates": []any{map[string]any{"name": name, "index_template": got}}})
	default:
		reply(w, http.StatusOK, map[string]any{"component_templates": []any{map[string]any{"name": name, "component_template": got}}})
	}
}

// policy keeps a policy of index state management, which may be written over only by
// who knows its last change.
func (s *Server) policy(w http.ResponseWriter, r *http.Request, body []byte) {
	got, ok := s.objects[r.URL.Path]
	switch {
	case r.Method == http.MethodGet && !ok:
		Fail(w, http.StatusNotFound, "status_exception", "Policy not found")
	case r.Method == http.MethodGet:
		var x map[string]any
		_ = json.Unmarshal(got, &x)
		x["_seq_no"], x["_primary_term"] = len(s.objects), 1
		reply(w, http.StatusOK, x)
	case ok && r.URL.RawQuery != "if_seq_no="+strconv.Itoa(len(s.objects))+"&if_primary_term=1":
		Fail(w, http.StatusConflict, "version_conflict_engine_exception", "document already exists")
	default:
		s.objects[r.URL.Path] = json.RawMessage(body)
		reply(w, http.StatusOK, map[string]any{"_version": 1})
	}
}
