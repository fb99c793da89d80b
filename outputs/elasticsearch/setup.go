package elasticsearch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/siemrelay/siemrelay/mappings/elasticsearch"
)

// Action is what Setup did with an object.
type Action string

// The actions.
const (
	Created   Action = "created"
	Updated   Action = "updated"
	Unchanged Action = "unchanged"
	Ensured   Action = "ensured" // of what is there already: it is so now, whatever it was
	Skipped   Action = "skipped"
)

// Step is one thing that Setup did.
type Step struct {
	Kind   string
	Name   string
	Action Action
	// Note says what an operator should know or do about it; empty for nothing.
	Note string
}

// SetupOptions say what to install.
type SetupOptions struct {
	// Retention is after how long events are deleted, "365d" for example; empty for never.
	Retention string
	// Done is told of every step when it is done.
	Done func(Step)
}

// Errors of Setup before anything is written.
var (
	errNewer   = errors.New("was installed by a newer siemrelay, which this one must not undo")
	errForeign = errors.New("is there and is not siemrelay's: rename or remove it")
	errOld     = errors.New("is too old: this needs Elasticsearch 8.11 or OpenSearch 2.12, or newer")
)

// SetupPrivileges says what a login needs for Setup, as a role of Elasticsearch.
const SetupPrivileges = `{
  "cluster": ["monitor", "manage_index_templates", "manage_ingest_pipelines"],
  "indices": [
    {"names": ["logs-defensecom.*-*"], "privileges": ["manage", "manage_data_stream_lifecycle"]},
    {"names": ["defensecom-latest-*"], "privileges": ["create_index", "manage"]}
  ]
}`

// WriterPrivileges says what the output's login needs, as a role of Elasticsearch: to
// create events, and only to create them; to write and read latest states, for
// latest; and to read and rewrite events, for replay --overwrite.
const WriterPrivileges = `{
  "cluster": ["monitor"],
  "indices": [
    {"names": ["logs-defensecom.*-*"], "privileges": ["auto_configure", "create_doc", "view_index_metadata"]},
    {"names": ["defensecom-latest-*"], "privileges": ["index", "read", "view_index_metadata"]}
  ]
}`

// OverwritePrivileges are needed on top of WriterPrivileges for replay --overwrite.
const OverwritePrivileges = `{
  "indices": [
    {"names": ["logs-defensecom.*-*"], "privileges": ["read", "index"]}
  ]
}`

// Objects returns what Setup would install, for a configuration whose flavor is
// known; auto counts as Elasticsearch.
func Objects(c Config, o SetupOptions) []elasticsearch.Object {
	flavor := elasticsearch.Elasticsearch
	if c.Flavor == flavorOpenSearch {
		flavor = elasticsearch.OpenSearch
	}
	return elasticsearch.Objects(elasticsearch.Options{Flavor: flavor, Retention: o.Retention})
}

// Setup installs the templates, the pipeline, the retention and the indices of the
// latest states. It looks at everything first and writes nothing if something there
// is newer, or isn't ours. What is as it should be stays untouched, so it may be
// repeated. Data streams that exist already get the new fields, the pipeline and the
// retention too.
func Setup(ctx context.Context, c Config, o SetupOptions) error {
	if err := c.check(); err != nil {
		return err
	}
	client, err := newClient(c)
	if err != nil {
		return err
	}
	defer client.close()
	s := &setup{client: client, options: o}
	return s.run(ctx)
}

type setup struct {
	client  *client
	options SetupOptions
	info    serverInfo
}

func (s *setup) run(ctx context.Context) error {
	var err error
	if s.info, err = s.client.info(ctx); err != nil {
		return err
	}
	c := s.client.config
	if err := c.suits(s.info.Flavor); err != nil {
		return err
	}
	switch {
	case s.info.Flavor == flavorElasticsearch && !s.info.atLeast(8, 11), s.info.Flavor == flavorOpenSearch && !s.info.atLeast(2, 12):
		return fmt.Errorf("%s %s %w", s.info.Flavor, s.info.Version, errOld)
	}
	c.Flavor = s.info.Flavor
	objects := Objects(c, s.options)
	plans := make([]plan, len(objects))
	var errs []error
	for i, object := range objects {
		if plans[i], err = s.look(ctx, object); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	for i, object := range objects {
		if err := s.install(ctx, object, plans[i]); err != nil {
			return err
		}
	}
	return s.existing(ctx, objects)
}

// plan is what is to be done with an object.
type plan struct {
	action Action
	note   string
	query  string // of the request that writes it
}

// look compares an object with what is there.
func (s *setup) look(ctx context.Context, object elasticsearch.Object) (plan, error) {
	what := fmt.Sprintf("%s %s", object.Kind, object.Name)
	a, err := s.client.do(ctx, request{method: http.MethodGet, path: object.Path})
	if err != nil {
		return plan{}, err
	}
	switch {
	case a.status == http.StatusNotFound:
		return plan{action: Created}, nil
	case object.Kind == elasticsearch.KindPolicy && a.status == http.StatusBadRequest:
		return plan{action: Skipped, note: "there is no index state management here, so events are kept for ever"}, nil
	}
	if err := s.client.refusal("look at "+what, a); err != nil {
		return plan{}, err
	}
	if object.Kind == elasticsearch.KindIndex {
		return plan{action: Unchanged}, nil
	}
	return compare(object, a.body)
}

// managed are the parts of an object that tell whose it is.
type managed struct {
	Version     int    `json:"version"`
	Description string `json:"description"`
	Meta        struct {
		ManagedBy   string `json:"managed_by"`
		Fingerprint string `json:"fingerprint"`
	} `json:"_meta"`
}

func (m managed) ours() bool {
	return m.Meta.ManagedBy == elasticsearch.ManagedBy || strings.Contains(m.Description, "managed by "+elasticsearch.ManagedBy)
}

// compare reads a reply that shows an object.
func compare(object elasticsearch.Object, reply []byte) (plan, error) {
	what := fmt.Sprintf("%s %s", object.Kind, object.Name)
	raw, query, err := shown(object, reply)
	if err != nil {
		return plan{}, fmt.Errorf("look at %s: %w", what, err)
	}
	var there, wanted managed
	wantedRaw := json.RawMessage(object.Body)
	if object.Kind == elasticsearch.KindPolicy {
		var inner struct{ Policy json.RawMessage }
		if err := json.Unmarshal(object.Body, &inner); err != nil {
			return plan{}, fmt.Errorf("look at %s: %w", what, err)
		}
		wantedRaw = inner.Policy
	}
	if err := errors.Join(json.Unmarshal(raw, &there), json.Unmarshal(wantedRaw, &wanted)); err != nil {
		return plan{}, fmt.Errorf("look at %s: %w", what, err)
	}
	same := there.Meta.Fingerprint == wanted.Meta.Fingerprint && there.Description == wanted.Description && there.Version == wanted.Version
	if object.Kind == elasticsearch.KindPipeline {
		same = same && sameJSON(raw, wantedRaw)
	}
	switch {
	case !there.ours():
		return plan{}, fmt.Errorf("%s %w", what, errForeign)
	case there.Version > wanted.Version && object.Kind != elasticsearch.KindPolicy:
		return plan{}, fmt.Errorf("%s (version %d, this has %d) %w", what, there.Version, wanted.Version, errNewer)
	case same:
		return plan{action: Unchanged}, nil
	}
	return plan{action: Updated, query: query}, nil
}

// shown takes an object out of the reply that shows it, with the query that is needed
// to write over it.
func shown(object elasticsearch.Object, reply []byte) (raw json.RawMessage, query string, err error) {
	var x struct {
		Components []struct {
			Template json.RawMessage `json:"component_template"`
		} `json:"component_templates"`
		Templates []struct {
			Template json.RawMessage `json:"index_template"`
		} `json:"index_templates"`
		Policy      json.RawMessage `json:"policy"`
		SeqNo       int64           `json:"_seq_no"`
		PrimaryTerm int64           `json:"_primary_term"`
	}
	if object.Kind == elasticsearch.KindPipeline {
		var pipelines map[string]json.RawMessage
		err = json.Unmarshal(reply, &pipelines)
		raw = pipelines[object.Name]
	} else {
		err = json.Unmarshal(reply, &x)
	}
	switch {
	case err != nil:
	case len(x.Components) == 1:
		raw = x.Components[0].Template
	case len(x.Templates) == 1:
		raw = x.Templates[0].Template
	case x.Policy != nil:
		raw, query = x.Policy, fmt.Sprintf("?if_seq_no=%d&if_primary_term=%d", x.SeqNo, x.PrimaryTerm)
	}
	if err != nil || raw == nil {
		err = errMismatch
	}
	return raw, query, err
}

func sameJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

// install writes an object as planned.
func (s *setup) install(ctx context.Context, object elasticsearch.Object, p plan) error {
	if p.action == Created || p.action == Updated {
		a, err := s.client.do(ctx, request{method: http.MethodPut, path: object.Path + p.query, body: object.Body})
		if err != nil {
			return err
		}
		var reply struct{ Error *apiError }
		already := json.Unmarshal(a.body, &reply) == nil && reply.Error.has("resource_already_exists_exception")
		if err := s.client.refusal(fmt.Sprintf("install %s %s", object.Kind, object.Name), a); err != nil && !already {
			return err
		}
	}
	s.tell(Step{string(object.Kind), object.Name, p.action, p.note})
	return nil
}

func (s *setup) tell(step Step) {
	if s.options.Done != nil {
		s.options.Done(step)
	}
}
