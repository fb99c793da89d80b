package elasticsearch

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/siemrelay/siemrelay/mappings/elasticsearch"
)

// existing gives what was there before the templates what they give to what comes
// after them: the fields, the pipeline and the retention.
func (s *setup) existing(ctx context.Context, objects []elasticsearch.Object) error {
	streams, err := s.streams(ctx)
	if err != nil {
		return err
	}
	parts := map[string]template{}
	for _, object := range objects {
		if object.Kind == elasticsearch.KindComponent {
			var x struct{ Template template }
			if err := json.Unmarshal(object.Body, &x); err != nil {
				return fmt.Errorf("read %s: %w", object.Name, err)
			}
			parts[object.Name] = x.Template
		}
	}
	for _, pattern := range []string{elasticsearch.LatestThreat, elasticsearch.LatestTicket} {
		if err := s.change(ctx, Step{Kind: "mapping", Name: pattern}, "/"+pattern+"/_mapping", parts[elasticsearch.LatestMappings].Mappings); err != nil {
			return err
		}
	}
	for _, name := range streams {
		if err := s.change(ctx, Step{Kind: "mapping", Name: name}, "/"+url.PathEscape(name)+"/_mapping", parts[elasticsearch.EventsMappings].Mappings); err != nil {
			return err
		}
		pipeline := json.RawMessage(`{"index":{"default_pipeline":"` + elasticsearch.Pipeline + `"}}`)
		if err := s.change(ctx, Step{Kind: "ingest pipeline of", Name: name}, "/"+url.PathEscape(name)+"/_settings", pipeline); err != nil {
			return err
		}
		lifecycle := parts[elasticsearch.EventsSettings].Lifecycle
		if lifecycle == nil {
			continue
		}
		if err := s.change(ctx, Step{Kind: "retention of", Name: name}, "/_data_stream/"+url.PathEscape(name)+"/_lifecycle", lifecycle); err != nil {
			return err
		}
	}
	return nil
}

type template struct {
	Mappings  json.RawMessage
	Lifecycle json.RawMessage
}

// streams are the names of our data streams.
func (s *setup) streams(ctx context.Context) ([]string, error) {
	const what = "list data streams"
	a, err := s.client.do(ctx, request{method: http.MethodGet, path: "/_data_stream/" + elasticsearch.EventsPattern, limit: 16 * maxReply})
	if err != nil {
		return nil, err
	}
	if a.status == http.StatusNotFound {
		return nil, nil
	}
	if err := s.client.refusal(what, a); err != nil {
		return nil, err
	}
	var reply struct {
		Streams []struct{ Name string } `json:"data_streams"`
	}
	if err := json.Unmarshal(a.body, &reply); err != nil {
		return nil, fmt.Errorf("%s: %w", what, errMismatch)
	}
	var names []string
	for _, x := range reply.Streams {
		if isIndex(x.Name) {
			names = append(names, x.Name)
		}
	}
	return names, nil
}

// change puts a setting on an index or data stream that exists. That it can't be
// changed any more is no failure of the setup: it holds for what comes.
func (s *setup) change(ctx context.Context, step Step, path string, body []byte) error {
	a, err := s.client.do(ctx, request{method: http.MethodPut, path: path, body: body})
	if err != nil {
		return err
	}
	step.Action = Ensured
	refusal := s.client.refusal("change "+step.Kind+" "+step.Name, a)
	switch {
	case refusal == nil:
	case a.status == http.StatusBadRequest:
		step.Action = Skipped
		step.Note = fmt.Sprintf("it has another one already, which stays until its next index; POST /%s/_rollover begins that (%s)", step.Name, s.client.clean(errorOf(a.body).text()))
	default:
		return refusal
	}
	s.tell(step)
	return nil
}

// errorOf is the error that a reply holds; nil for none.
func errorOf(body []byte) *apiError {
	var reply struct {
		Error *apiError `json:"error"`
	}
	_ = json.Unmarshal(body, &reply)
	return reply.Error
}
