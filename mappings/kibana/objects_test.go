package kibana_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/mappings/kibana"
)

type body = map[string]any

func encode(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type reference struct{ ID, Name, Type string }

// savedObject is a line of the file, as Kibana reads it.
type savedObject struct {
	ID, Type             string
	CoreMigrationVersion string
	TypeMigrationVersion string
	References           []reference
	Attributes           json.RawMessage
}

// readObjects reads every line, and nothing between them.
func readObjects(t *testing.T) []savedObject {
	t.Helper()
	return readLines[savedObject](t, kibana.SavedObjects())
}

func readLines[T any](t *testing.T, file []byte) []T {
	t.Helper()
	var all []T
	for _, line := range bytes.Split(bytes.TrimSuffix(file, []byte("\n")), []byte("\n")) {
		var v T
		decode(t, line, &v)
		all = append(all, v)
	}
	return all
}

func decode(t *testing.T, text []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(text, v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

// jsonText is JSON within a text, as Kibana keeps it in many places.
type jsonText[T any] struct{ Value T }

func (j *jsonText[T]) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	return json.Unmarshal([]byte(text), &j.Value)
}

type kql struct{ Query, Language string }

// source is what a saved search or a dashboard asks for.
type source struct {
	Filter       []any
	Query        kql
	IndexRefName string
}

type meta struct {
	SearchSourceJSON jsonText[source]
}

type viewAttributes struct {
	Title, Name, TimeFieldName            string
	FieldFormatMap                        jsonText[map[string]any]
	FieldAttrs, RuntimeFieldMap, TypeMeta jsonText[map[string]any]
	Fields, SourceFilters                 jsonText[[]any]
}

type searchAttributes struct {
	Title, Description    string
	Columns               []string
	Sort                  [][2]string
	KibanaSavedObjectMeta meta
}

type dashboardAttributes struct {
	Title                 string
	TimeFrom, TimeTo      string
	KibanaSavedObjectMeta meta
	OptionsJSON           jsonText[map[string]any]
	PanelsJSON            jsonText[[]panel]
	ControlGroupInput     struct {
		PanelsJSON               jsonText[map[string]control]
		IgnoreParentSettingsJSON jsonText[map[string]any]
	}
}

type control struct {
	Type          string
	ExplicitInput struct{ ID, FieldName, Title string }
}

type panel struct {
	PanelIndex, Type, Title, PanelRefName, Version string
	GridData                                       struct {
		X, Y, W, H int
		I          string
	}
	EmbeddableConfig struct {
		Attributes *lens
		SavedVis   *struct {
			Type   string
			Params struct{ Markdown string }
		}
	}
}

type lens struct {
	VisualizationType string
	References        []reference
	State             struct {
		Query            kql
		DatasourceStates struct {
			FormBased struct{ Layers map[string]layer }
		}
		Visualization map[string]any
	}
}

type layer struct {
	ColumnOrder []string
	Columns     map[string]column
}

type column struct {
	Label, OperationType, SourceField, DataType string
	IsBucketed                                  bool
	Filter                                      *kql
	Params                                      struct {
		Size          int
		MissingBucket bool
		OrderBy       struct{ ColumnID string }
	}
}

// pack is all that is in the file.
type pack struct {
	views     map[string]viewAttributes
	searches  map[string]searchAttributes
	dashboard dashboardAttributes
	objects   map[string]savedObject // by type/id
}

func readPack(t *testing.T) pack {
	t.Helper()
	p := pack{views: map[string]viewAttributes{}, searches: map[string]searchAttributes{}, objects: map[string]savedObject{}}
	for _, o := range readObjects(t) {
		p.objects[o.Type+"/"+o.ID] = o
		switch o.Type {
		case "index-pattern":
			var v viewAttributes
			decode(t, o.Attributes, &v)
			p.views[o.ID] = v
		case "search":
			var s searchAttributes
			decode(t, o.Attributes, &s)
			p.searches[o.ID] = s
		case "dashboard":
			decode(t, o.Attributes, &p.dashboard)
		default:
			t.Errorf("%s is a %s", o.ID, o.Type)
		}
	}
	if len(p.views) != 2 || len(p.searches) < 3 || len(p.dashboard.PanelsJSON.Value) < 10 {
		t.Fatalf("there are %d data views, %d searches, %d panels", len(p.views), len(p.searches), len(p.dashboard.PanelsJSON.Value))
	}
	return p
}

// viewOf is the data view that a saved search is about.
func (p pack) viewOf(t *testing.T, object string) string {
	t.Helper()
	for _, r := range p.objects[object].References {
		if r.Type == "index-pattern" && r.Name == "kibanaSavedObjectMeta.searchSourceJSON.index" {
			return r.ID
		}
	}
	t.Fatalf("%s is about no data view", object)
	return ""
}

// one is the panel's only layer, and its data view.
func (l *lens) one(t *testing.T) (name string, only layer, view string) {
	t.Helper()
	layers := l.State.DatasourceStates.FormBased.Layers
	if len(layers) != 1 {
		t.Fatalf("%d layers", len(layers))
	}
	for n, v := range layers {
		name, only = n, v
	}
	for _, r := range l.References {
		if strings.HasSuffix(r.Name, "-"+name) {
			view = r.ID
		}
	}
	return name, only, view
}
