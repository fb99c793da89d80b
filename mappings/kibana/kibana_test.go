package kibana_test

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"testing"

	"github.com/siemrelay/siemrelay/mappings/kibana"
)

var update = flag.Bool("update", false, "write the files anew")

// TestFiles holds the files in the folder to what is imported by the command.
func TestFiles(t *testing.T) {
	for name, want := range map[string][]byte{
		kibana.SavedObjectsFile: kibana.SavedObjects(),
		kibana.RulesFile:        kibana.Rules(),
	} {
		if *update {
			if err := os.WriteFile(name, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the package makes (go test ./mappings/kibana -update): %v", name, err)
		}
	}
}

// TestObjects: each line is an object with what Kibana asks for, and an id of its own.
func TestObjects(t *testing.T) {
	seen := map[string]bool{}
	shape := map[string]string{"index-pattern": "8.0.0", "search": "8.0.0", "dashboard": "8.9.0"}
	for _, o := range readObjects(t) {
		if !regexp.MustCompile(`^defensecom-[a-z-]+$`).MatchString(o.ID) || seen[o.ID] {
			t.Errorf("id %q is no fixed one of its own", o.ID)
		}
		seen[o.ID] = true
		// A newer version would be refused by an older Kibana, none at all would run
		// every migration since 7.0.
		if o.CoreMigrationVersion != "8.8.0" || o.TypeMigrationVersion != shape[o.Type] {
			t.Errorf("%s has the versions %q and %q", o.ID, o.CoreMigrationVersion, o.TypeMigrationVersion)
		}
		if o.References == nil || len(o.Attributes) == 0 {
			t.Errorf("%s has no references or no attributes", o.ID)
		}
	}
	if !bytes.Equal(kibana.SavedObjects(), kibana.SavedObjects()) || !bytes.Equal(kibana.Rules(), kibana.Rules()) {
		t.Error("the same build gives other bytes")
	}
	for _, o := range readObjects(t) {
		var a struct{ Title, Name string }
		decode(t, o.Attributes, &a)
		if name := kibana.Names()[o.Type+"/"+o.ID]; name == "" || name != a.Title && name != a.Name {
			t.Errorf("%s is called %q and named %q %q", o.ID, name, a.Title, a.Name)
		}
	}
	if !seen[kibana.Dashboard] {
		t.Errorf("there is no dashboard %s", kibana.Dashboard)
	}
}

// TestAttributes: Kibana refuses attributes that it does not know, or of another type.
// The names are those that Kibana 8.9 to 9.x checks saved objects against.
func TestAttributes(t *testing.T) {
	known := map[string]map[string]any{
		"index-pattern": {
			"title": "", "name": "", "timeFieldName": "", "fields": "", "fieldAttrs": "", "fieldFormatMap": "",
			"sourceFilters": "", "typeMeta": "", "runtimeFieldMap": "", "allowNoIndex": true,
		},
		"search": {
			"title": "", "description": "", "columns": []any{}, "sort": []any{}, "grid": body{}, "hideChart": true,
			"kibanaSavedObjectMeta": body{}, "isTextBasedQuery": true, "timeRestore": true,
		},
		"dashboard": {
			"title": "", "description": "", "kibanaSavedObjectMeta": body{}, "timeRestore": true, "timeFrom": "", "timeTo": "",
			"refreshInterval": body{}, "controlGroupInput": body{}, "panelsJSON": "", "optionsJSON": "", "version": 0.0,
		},
	}
	for _, o := range readObjects(t) {
		var attributes map[string]any
		decode(t, o.Attributes, &attributes)
		for name, value := range attributes {
			if want, ok := known[o.Type][name]; !ok || reflect.TypeOf(value) != reflect.TypeOf(want) {
				t.Errorf("%s has the attribute %s with a %T", o.ID, name, value)
			}
		}
		if title, _ := attributes["title"].(string); title == "" {
			t.Errorf("%s has no title", o.ID)
		}
	}
	for name, c := range readPack(t).dashboard.ControlGroupInput.PanelsJSON.Value {
		if c.Type != "optionsListControl" || c.ExplicitInput.ID != name {
			t.Errorf("control %s is %+v", name, c)
		}
	}
}

// TestReferences: what an object names is there, and named once.
func TestReferences(t *testing.T) {
	p := readPack(t)
	for id, o := range p.objects {
		wanted := map[string]string{} // name to type
		switch o.Type {
		case "search":
			wanted[p.searches[o.ID].KibanaSavedObjectMeta.SearchSourceJSON.Value.IndexRefName] = "index-pattern"
		case "dashboard":
			for _, panel := range p.dashboard.PanelsJSON.Value {
				if panel.PanelRefName != "" {
					wanted[panel.PanelIndex+":"+panel.PanelRefName] = panel.Type
				}
				if l := panel.EmbeddableConfig.Attributes; l != nil {
					name, _, view := l.one(t)
					inner := "indexpattern-datasource-layer-" + name
					wanted[panel.PanelIndex+":"+inner] = "index-pattern"
					if want := (reference{view, inner, "index-pattern"}); len(l.References) != 1 || l.References[0] != want {
						t.Errorf("panel %s has the references %v inside", panel.PanelIndex, l.References)
					}
				}
			}
			for name := range p.dashboard.ControlGroupInput.PanelsJSON.Value {
				wanted["controlGroup_"+name+":optionsListDataView"] = "index-pattern"
			}
		}
		got := map[string]string{}
		for _, r := range o.References {
			if _, there := p.objects[r.Type+"/"+r.ID]; !there {
				t.Errorf("%s names %s/%s, which is not in the file", id, r.Type, r.ID)
			}
			if got[r.Name] != "" {
				t.Errorf("%s has %s twice", id, r.Name)
			}
			got[r.Name] = r.Type
		}
		if !maps.Equal(got, wanted) {
			t.Errorf("%s has the references\n%v\nand needs\n%v", id, got, wanted)
		}
	}
}

// TestLayout: panels lie on the grid, over no other, and are told apart.
func TestLayout(t *testing.T) {
	cells, ids := map[[2]int]string{}, map[string]bool{}
	for _, p := range readPack(t).dashboard.PanelsJSON.Value {
		g := p.GridData
		if g.I != p.PanelIndex || ids[g.I] || p.Version == "" {
			t.Errorf("panel %q is not told apart", p.PanelIndex)
		}
		ids[g.I] = true
		if g.X < 0 || g.W < 1 || g.H < 1 || g.X+g.W > 48 {
			t.Errorf("panel %s lies off the grid: %+v", g.I, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other := cells[[2]int{x, y}]; other != "" {
					t.Fatalf("panel %s lies over %s", g.I, other)
				}
				cells[[2]int{x, y}] = g.I
			}
		}
	}
}

// TestCharts: every column is shown, and what is shown is a column.
func TestCharts(t *testing.T) {
	for _, p := range readPack(t).dashboard.PanelsJSON.Value {
		l := p.EmbeddableConfig.Attributes
		if l == nil {
			continue
		}
		name, layer, _ := l.one(t)
		if a, b := slices.Sorted(slices.Values(layer.ColumnOrder)), slices.Sorted(maps.Keys(layer.Columns)); !slices.Equal(a, b) {
			t.Errorf("%s: the order has %v, the columns are %v", p.PanelIndex, a, b)
		}
		shown := map[string]bool{}
		accessors(l.State.Visualization, name, shown)
		if a, b := slices.Sorted(maps.Keys(shown)), slices.Sorted(maps.Keys(layer.Columns)); !slices.Equal(a, b) {
			t.Errorf("%s: shown are %v, the columns are %v", p.PanelIndex, a, b)
		}
		bucketed := true // buckets come before numbers
		for _, id := range layer.ColumnOrder {
			c := layer.Columns[id]
			if c.IsBucketed && !bucketed {
				t.Errorf("%s: bucket %s comes after a number", p.PanelIndex, id)
			}
			bucketed = c.IsBucketed
			if by := c.Params.OrderBy.ColumnID; c.OperationType == "terms" && (layer.Columns[by].OperationType == "" || layer.Columns[by].IsBucketed) {
				t.Errorf("%s: %s is ordered by %q", p.PanelIndex, id, by)
			}
			if c.Label == "" {
				t.Errorf("%s: %s has no label", p.PanelIndex, id)
			}
		}
	}
}

// accessors collects the columns that a visualization names, and checks its layer.
func accessors(v any, layer string, shown map[string]bool) {
	switch v := v.(type) {
	case []any:
		for _, inner := range v {
			accessors(inner, layer, shown)
		}
	case map[string]any:
		for key, inner := range v {
			switch key {
			case "layerId":
				if inner != layer {
					shown[fmt.Sprintf("layer %v", inner)] = true
				}
			case "metricAccessor", "xAccessor", "splitAccessor", "columnId", "forAccessor":
				shown[inner.(string)] = true
			case "accessors", "metrics", "primaryGroups":
				for _, id := range inner.([]any) {
					shown[id.(string)] = true
				}
			default:
				accessors(inner, layer, shown)
			}
		}
	}
}
