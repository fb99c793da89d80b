package kibana_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/mappings/elasticsearch"
	"github.com/siemrelay/siemrelay/mappings/kibana"
)

// patterns are the data views' patterns: which templates make their indices.
var patterns = map[string]bool{elasticsearch.EventsPattern: false, elasticsearch.LatestPattern: true}

// fieldsOf are the fields that the documents of a data view have, with text fields.
func fieldsOf(t *testing.T, pattern string) map[string]elasticsearch.Field {
	t.Helper()
	latest, known := patterns[pattern]
	if !known {
		t.Fatalf("pattern %s is that of no template", pattern)
	}
	fields := map[string]elasticsearch.Field{}
	for name, f := range elasticsearch.Fields().Fields {
		if latest && !f.Latest {
			continue
		}
		fields[name] = f
		if f.Text {
			fields[name+".text"] = elasticsearch.Field{Type: "match_only_text"}
		}
	}
	return fields
}

// checker looks every field up that something names.
type checker struct {
	t      *testing.T
	fields map[string]elasticsearch.Field
	where  string
}

// shown is a field of which values are displayed.
func (c checker) shown(field string) elasticsearch.Field {
	f, known := c.fields[field]
	if !known {
		c.t.Errorf("%s names %s, which no document there has", c.where, field)
	}
	return f
}

// sortable is a field that is sorted by or counted.
func (c checker) sortable(field string) elasticsearch.Field {
	f := c.shown(field)
	if f.Stored || f.Type == "match_only_text" || f.Type == "flattened" {
		c.t.Errorf("%s counts or sorts by %s, a %s, which can't be", c.where, field, f.Type)
	}
	return f
}

// query is a query in KQL. Where a field has a fixed set of values, or is compared in
// order, that is checked too.
func (c checker) query(q kql) {
	if q.Language != "kuery" {
		c.t.Errorf("%s has a query in %q", c.where, q.Language)
	}
	if q.Query == "" {
		return
	}
	parsed, err := parseKQL(q.Query)
	if err != nil {
		c.t.Errorf("%s: %v", c.where, err)
	}
	parsed.fields(func(field string, comparison condition) {
		f := c.shown(strings.TrimSuffix(field, ".*"))
		if f.Stored || f.Type == "flattened" && !strings.HasPrefix(field, "defensecom.extra.") {
			c.t.Errorf("%s searches %s, which can't be found by", c.where, field)
		}
		if f.Allowed != nil && !comparison.wildcard && !slices.Contains(f.Allowed, comparison.value) {
			c.t.Errorf("%s looks for %s %q, which it never is", c.where, field, comparison.value)
		}
		if comparison.compare != ":" && f.Type != "long" && f.Type != "float" && f.Type != "date" {
			c.t.Errorf("%s compares %s, a %s, in order", c.where, field, f.Type)
		}
	})
}

// TestFieldsExist: every field that a saved object names is in the template of the
// indices that it looks at, and can do what is asked of it.
func TestFieldsExist(t *testing.T) {
	p := readPack(t)
	fields := map[string]map[string]elasticsearch.Field{}
	for id, v := range p.views {
		fields[id] = fieldsOf(t, v.Title)
		c := checker{t, fields[id], id}
		// What is open now is so whatever the time range.
		if want := map[bool]string{false: "@timestamp", true: ""}[patterns[v.Title]]; v.TimeFieldName != want {
			t.Errorf("%s has the time field %q, want %q", id, v.TimeFieldName, want)
		}
		for field := range v.FieldFormatMap.Value {
			c.shown(field)
		}
	}
	for id, s := range p.searches {
		c := checker{t, fields[p.viewOf(t, "search/"+id)], id}
		c.query(s.KibanaSavedObjectMeta.SearchSourceJSON.Value.Query)
		for _, column := range s.Columns {
			c.shown(column)
		}
		for _, by := range s.Sort {
			c.sortable(by[0])
			if by[1] != "asc" && by[1] != "desc" {
				t.Errorf("%s is sorted %s", id, by[1])
			}
		}
	}
	for _, panel := range p.dashboard.PanelsJSON.Value {
		if l := panel.EmbeddableConfig.Attributes; l != nil {
			_, layer, view := l.one(t)
			c := checker{t, fields[view], "panel " + panel.PanelIndex}
			c.query(l.State.Query)
			for id, column := range layer.Columns {
				c.column(id, column)
			}
		}
	}
	for id, control := range p.dashboard.ControlGroupInput.PanelsJSON.Value {
		for view := range p.views { // a choice holds for every panel
			checker{t, fields[view], "control " + id}.sortable(control.ExplicitInput.FieldName)
		}
	}
	(checker{t, nil, "dashboard"}).query(p.dashboard.KibanaSavedObjectMeta.SearchSourceJSON.Value.Query)
}

func (c checker) column(id string, column column) {
	c.where += " column " + id
	if column.Filter != nil {
		c.query(*column.Filter)
	}
	types := map[string]string{"terms": "keyword", "date_histogram": "date", "min": "date", "max": "date"}
	switch want := types[column.OperationType]; {
	case column.OperationType == "count" && column.SourceField == "___records___":
	case want == "" || c.sortable(column.SourceField).Type != want:
		c.t.Errorf("%s: %s of %s", c.where, column.OperationType, column.SourceField)
	}
}

type detectionRule struct {
	RuleID            string `json:"rule_id"`
	Name, Description string
	Type, Language    string
	Query             string
	Index             []string
	Enabled           *bool
	From, Interval    string
	Severity          string
	RiskScore         int    `json:"risk_score"`
	TimestampOverride string `json:"timestamp_override"`
	RuleNameOverride  string `json:"rule_name_override"`
}

// TestRules holds the detection rules to the fields, and to what they must never do.
func TestRules(t *testing.T) {
	events := fieldsOf(t, elasticsearch.EventsPattern)
	ids := map[string]bool{}
	for _, r := range readLines[detectionRule](t, kibana.Rules()) {
		c := checker{t, events, r.RuleID}
		if r.RuleID == "" || ids[r.RuleID] || r.Name == "" || r.Description == "" || r.From == "" || r.Interval == "" {
			t.Errorf("rule %+v lacks what an import needs", r)
		}
		ids[r.RuleID] = true
		if r.Enabled == nil || *r.Enabled {
			t.Errorf("%s would be switched on", r.RuleID)
		}
		if want := map[string]int{"low": 21, "medium": 47, "high": 73, "critical": 99}[r.Severity]; r.RiskScore != want {
			t.Errorf("%s is %s and has the score %d", r.RuleID, r.Severity, r.RiskScore)
		}
		c.sortable(r.TimestampOverride)
		if r.RuleNameOverride != "" {
			c.shown(r.RuleNameOverride)
		}
		switch r.Type {
		case "query":
			c.query(kql{r.Query, r.Language})
			if len(r.Index) == 0 {
				t.Errorf("%s looks at no index", r.RuleID)
			}
		case "esql":
			if r.Language != "esql" || !strings.HasPrefix(r.Query, "FROM "+elasticsearch.EventsPattern+" | ") {
				t.Errorf("%s has the query %q", r.RuleID, r.Query)
			}
		default:
			t.Errorf("%s is a %s", r.RuleID, r.Type)
		}
	}
	if len(ids) != 2 {
		t.Errorf("there are %d rules", len(ids))
	}
	for _, r := range readLines[map[string]json.RawMessage](t, kibana.Rules()) {
		if r["actions"] != nil || r["exceptions_list"] != nil {
			t.Error("a rule names what no import brings with it")
		}
	}
}

// TestGuide: the queries that the guide tells of are KQL, and name fields that are there.
func TestGuide(t *testing.T) {
	guide, err := os.ReadFile("../../docs/kibana.md")
	if err != nil {
		t.Fatal(err)
	}
	events, latest := fieldsOf(t, elasticsearch.EventsPattern), fieldsOf(t, elasticsearch.LatestPattern)
	n := 0
	for _, block := range regexp.MustCompile("(?s)```kql\n(.*?)```").FindAllStringSubmatch(string(guide), -1) {
		for _, line := range strings.Split(strings.TrimSpace(block[1]), "\n") {
			n++
			c := checker{t, events, "docs/kibana.md"}
			if parsed, err := parseKQL(line); err == nil { // open now is asked of the other data view
				parsed.fields(func(field string, comparison condition) {
					if strings.HasSuffix(field, ".status") {
						c.fields = latest
					}
				})
			}
			c.query(kql{line, "kuery"})
		}
	}
	if n < 10 {
		t.Errorf("docs/kibana.md has %d queries", n)
	}
}
