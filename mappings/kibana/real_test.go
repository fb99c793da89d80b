package kibana_test

import (
	"bytes"
	"cmp"
	"io"
	"maps"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/endtoend"
	"github.com/siemrelay/siemrelay/internal/testenv/opensearch"
	"github.com/siemrelay/siemrelay/mappings/kibana"
	"github.com/siemrelay/siemrelay/outputs/elasticsearch"
)

// cluster is a real node with a history in it, put there by the output itself.
type cluster struct {
	t    *testing.T
	url  string
	pack pack
}

func newCluster(t *testing.T, h history) cluster {
	t.Helper()
	node, err := opensearch.Start(t.TempDir())
	if err != nil {
		endtoend.Skip(t, err)
	}
	t.Cleanup(node.Kill)
	config := elasticsearch.Default()
	config.URLs, config.Latest = []string{node.URL}, true
	if err := elasticsearch.Setup(t.Context(), config, elasticsearch.SetupOptions{}); err != nil {
		t.Fatal(err)
	}
	out, err := elasticsearch.New(config, elasticsearch.Options{Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	for batch := range slices.Chunk(h.messages(t), 50) {
		if err := out.Send(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	c := cluster{t, node.URL, readPack(t)}
	c.ask("/_refresh", nil)
	return c
}

// ask makes a request, which must be answered with 200.
func (c cluster) ask(path string, request any) []byte {
	c.t.Helper()
	var content []byte
	if request != nil {
		content = encode(c.t, request)
	}
	r, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.url+path, bytes.NewReader(content))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		c.t.Fatalf("%s %s is answered with %s: %v %s", path, content, res.Status, err, b)
	}
	return b
}

// filters are what Kibana adds to every search: the query, and the time range where
// the data view has a time.
func (c cluster) filters(view string, queries ...kql) []any {
	c.t.Helper()
	all := []any{}
	for _, q := range queries {
		if q.Query == "" {
			continue
		}
		parsed, err := parseKQL(q.Query)
		if err != nil {
			c.t.Fatal(err)
		}
		all = append(all, parsed.search())
	}
	if field := c.pack.views[view].TimeFieldName; field != "" {
		all = append(all, body{"range": body{field: body{"gte": "2026-01-01T00:00:00Z", "lte": "2027-01-01T00:00:00Z", "format": "strict_date_optional_time"}}})
	}
	return all
}

type hit struct {
	ID     string `json:"_id"`
	Source struct {
		Timestamp time.Time `json:"@timestamp"`
		Event     struct {
			ID       string
			Severity int
			Start    time.Time
		}
		Organization struct{ ID string }
		Defensecom   struct{ Threat, Ticket struct{ ID string } }
	} `json:"_source"`
	Fields map[string][]any
}

func (h hit) record() string {
	return h.Source.Organization.ID + "/" + h.Source.Defensecom.Threat.ID + h.Source.Defensecom.Ticket.ID
}

// search finds documents as Discover does.
func (c cluster) search(view string, columns []string, sort [][2]string, queries ...kql) []hit {
	c.t.Helper()
	request := body{"size": 1000, "query": body{"bool": body{"filter": c.filters(view, queries...)}}, "fields": append([]string{}, columns...)}
	order := []any{}
	for _, by := range sort {
		order = append(order, body{by[0]: body{"order": by[1]}})
	}
	request["sort"] = order
	var a struct{ Hits struct{ Hits []hit } }
	decode(c.t, c.ask("/"+c.pack.views[view].Title+"/_search", request), &a)
	return a.Hits.Hits
}

// TestRealObjects runs everything that the saved objects, the rules and the guide ask
// for against a real node, and holds the answers to what the webhooks say.
func TestRealObjects(t *testing.T) {
	h := newHistory(t)
	c := newCluster(t, h)
	t.Run("panels", func(t *testing.T) { c.t = t; c.panels(h) })
	t.Run("searches", func(t *testing.T) { c.t = t; c.searches(h) })
	t.Run("controls", func(t *testing.T) { c.t = t; c.controls() })
	t.Run("fields", func(t *testing.T) { c.t = t; c.fields() })
	t.Run("rules", func(t *testing.T) { c.t = t; c.rules(h) })
	t.Run("guide", func(t *testing.T) { c.t = t; c.guide() })
}

// panels asks for the data of each chart.
func (c cluster) panels(h history) {
	want := expected(c.t, h)
	for _, p := range c.pack.dashboard.PanelsJSON.Value {
		l := p.EmbeddableConfig.Attributes
		if l == nil {
			continue
		}
		_, layer, view := l.one(c.t)
		answer := c.ask("/"+c.pack.views[view].Title+"/_search", layer.request(c.filters(view, l.State.Query)))
		got := layer.read(c.t, answer)
		if p.PanelIndex == "last-event" { // when the node got it, which is now
			ago := time.Since(time.UnixMilli(int64(got[""]["value"])))
			if ago < 0 || ago > time.Hour {
				c.t.Errorf("the last event arrived %v ago", ago)
			}
			continue
		}
		if len(want[p.PanelIndex]) == 0 {
			c.t.Errorf("nothing is expected of panel %s: the history lacks it", p.PanelIndex)
		}
		if !reflect.DeepEqual(got, want[p.PanelIndex]) {
			c.t.Errorf("panel %s shows\n%v\nthe webhooks say\n%v", p.PanelIndex, got, want[p.PanelIndex])
		}
	}
}

// searches runs each saved search: the right documents, in the right order, and a
// value in every column.
func (c cluster) searches(h history) {
	open := h.latest().where(webhook.open)
	want := map[string]history{
		"defensecom-threats":             h.where(webhook.isThreat),
		"defensecom-tickets":             h.where(webhook.isTicket),
		"defensecom-notes":               h.where(webhook.hasNote),
		"defensecom-open-threats-worst":  open.where(webhook.isThreat),
		"defensecom-open-threats-oldest": open.where(webhook.isThreat),
		"defensecom-open-tickets":        open.where(webhook.isTicket),
	}
	for id, s := range c.pack.searches {
		hits := c.search(c.pack.viewOf(c.t, "search/"+id), s.Columns, s.Sort, s.KibanaSavedObjectMeta.SearchSourceJSON.Value.Query)
		var got, wanted []string
		for _, hit := range hits {
			got = append(got, hit.record())
		}
		for _, w := range want[id] {
			wanted = append(wanted, w.text("company_id")+"/"+w.text("id"))
		}
		if slices.Sort(got); len(wanted) == 0 {
			c.t.Errorf("the history has nothing for %s", id)
		}
		if slices.Sort(wanted); !slices.Equal(got, wanted) {
			c.t.Errorf("%s finds\n%v\nthe webhooks say\n%v", id, got, wanted)
		}
		if !slices.IsSortedFunc(hits, orderOf(id)) {
			c.t.Errorf("%s is out of order", id)
		}
		for _, column := range s.Columns {
			if !slices.ContainsFunc(hits, func(h hit) bool { return len(h.Fields[column]) > 0 }) {
				c.t.Errorf("%s: %s has no value in any document", id, column)
			}
		}
	}
}

// orderOf is the order that a search's name promises.
func orderOf(id string) func(a, b hit) int {
	oldest := func(a, b hit) int { return a.Source.Event.Start.Compare(b.Source.Event.Start) }
	switch id {
	case "defensecom-open-threats-worst", "defensecom-open-tickets":
		return func(a, b hit) int { return cmp.Or(b.Source.Event.Severity-a.Source.Event.Severity, oldest(a, b)) }
	case "defensecom-open-threats-oldest":
		return oldest
	}
	return func(a, b hit) int { return b.Source.Timestamp.Compare(a.Source.Timestamp) }
}

// controls asks for what each filter offers, and that a choice holds for events too.
func (c cluster) controls() {
	for id, control := range c.pack.dashboard.ControlGroupInput.PanelsJSON.Value {
		field := control.ExplicitInput.FieldName
		for view := range c.pack.views {
			var a struct {
				Aggregations struct {
					Suggestions struct{ Buckets []struct{ Key string } }
				}
			}
			decode(c.t, c.ask("/"+c.pack.views[view].Title+"/_search", body{
				"size": 0, "aggs": body{"suggestions": body{"terms": body{"field": field, "size": 10}}},
			}), &a)
			if len(a.Aggregations.Suggestions.Buckets) == 0 {
				c.t.Errorf("filter %s has nothing to offer in %s", id, view)
			}
		}
	}
}

// fields asks the node what can be done with every field that is named.
func (c cluster) fields() {
	for view, v := range c.pack.views {
		var caps struct {
			Fields map[string]map[string]struct{ Searchable, Aggregatable bool }
		}
		decode(c.t, c.ask("/"+v.Title+"/_field_caps?fields=*", nil), &caps)
		can := func(where, field string, aggregate bool) {
			kinds := caps.Fields[field]
			if len(kinds) != 1 {
				c.t.Errorf("%s: %s is %v in %s", where, field, kinds, v.Title)
			}
			for _, kind := range kinds {
				if !kind.Searchable || aggregate && !kind.Aggregatable {
					c.t.Errorf("%s: %s can't be used: %+v", where, field, kind)
				}
			}
		}
		for id, s := range c.pack.searches {
			if c.pack.viewOf(c.t, "search/"+id) != view {
				continue
			}
			for _, by := range s.Sort {
				can(id, by[0], true)
			}
			for _, column := range s.Columns {
				can(id, column, false)
			}
		}
		for _, p := range c.pack.dashboard.PanelsJSON.Value {
			if l := p.EmbeddableConfig.Attributes; l != nil {
				_, layer, its := l.one(c.t)
				for column := range maps.Values(layer.Columns) {
					if its == view && column.SourceField != "___records___" {
						can(p.PanelIndex, column.SourceField, true)
					}
				}
			}
		}
	}
}

// rules runs the rules whose language the node has.
func (c cluster) rules(h history) {
	ran := 0
	for _, r := range readLines[detectionRule](c.t, kibana.Rules()) {
		if r.Type != "query" {
			continue // ES|QL is Elasticsearch's own
		}
		ran++
		parsed, err := parseKQL(r.Query)
		if err != nil {
			c.t.Fatal(err)
		}
		var a struct{ Hits struct{ Hits []hit } }
		decode(c.t, c.ask("/"+strings.Join(r.Index, ",")+"/_search", body{"size": 1000, "query": body{"bool": body{"filter": []any{
			parsed.search(), body{"range": body{r.TimestampOverride: body{"gte": r.From, "lte": "now"}}},
		}}}}), &a)
		var got, want []string
		for _, hit := range a.Hits.Hits {
			got = append(got, hit.record())
		}
		for _, w := range h.where(webhook.opened, func(w webhook) bool { return w.severity() == 99 }) {
			want = append(want, w.text("company_id")+"/"+w.text("id"))
		}
		slices.Sort(got)
		slices.Sort(want)
		if len(want) == 0 || !slices.Equal(got, want) {
			c.t.Errorf("rule %s finds\n%v\nthe webhooks say\n%v", r.RuleID, got, want)
		}
	}
	if ran != 1 {
		c.t.Errorf("%d rules ran", ran)
	}
}

// guide runs each query of the guide, which must find something, and finds a word in
// the middle of a long description.
func (c cluster) guide() {
	guide, err := os.ReadFile("../../docs/kibana.md")
	if err != nil {
		c.t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?s)(\\(latest state\\)\n\n)?```kql\n(.*?)```").FindAllStringSubmatch(string(guide), -1) {
		view := "defensecom-events"
		if block[1] != "" {
			view = "defensecom-latest"
		}
		for line := range strings.Lines(block[2]) {
			if hits := c.search(view, nil, nil, kql{line, "kuery"}); len(hits) == 0 {
				c.t.Errorf("%s finds nothing", line)
			}
		}
	}
	hits := c.search("defensecom-events", nil, nil, kql{"defensecom.threat.description : " + needle, "kuery"})
	if len(hits) != 1 || hits[0].Source.Defensecom.Threat.ID != "long" {
		c.t.Errorf("the word in the middle of a long text is found in %d documents", len(hits))
	}
}
