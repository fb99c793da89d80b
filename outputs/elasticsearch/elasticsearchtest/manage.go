package elasticsearchtest

import (
	"encoding/json"
	"net/http"
	"strings"
)

// manage keeps templates, pipelines and policies, and makes indices.
func (s *Server) manage(w http.ResponseWriter, r *http.Request, body []byte) {
	path := r.URL.Path
	folder, name, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch {
	case strings.HasPrefix(path, "/_component_template/"), strings.HasPrefix(path, "/_index_template/"), strings.HasPrefix(path, "/_ingest/pipeline/"):
		s.object(w, r, body)
	case strings.HasPrefix(path, "/_plugins/"):
		Fail(w, http.StatusBadRequest, "illegal_argument_exception", "no handler found for uri ["+path+"] and method ["+r.Method+"]")
	case name == "_mapping" && r.Method == http.MethodPut:
		reply(w, http.StatusOK, map[string]any{"acknowledged": true})
	case name == "" && r.Method == http.MethodHead:
		if s.documents[folder] == nil {
			w.WriteHeader(http.StatusNotFound)
		}
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
