package main_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// From Prometheus itself, or of the scrape.
var notOurs = []string{"job", "instance", "le"}

var (
	metricName = regexp.MustCompile(`\b(siemrelay|process|go)_[a-z0-9_]+`)
	selector   = regexp.MustCompile(`\b((?:siemrelay|process|go)_[a-z0-9_]+)\{([^}]*)\}`)
	matcher    = regexp.MustCompile(`([a-z_]+)(=~|=)"([^"]*)"`)
	sample     = regexp.MustCompile(`(?m)^([a-z0-9_]+)(?:\{(.*)\})? \S+$`)
	grouping   = regexp.MustCompile(`\bby \(([^)]*)\)`)
	inText     = regexp.MustCompile(`\$labels\.([a-z_]+)|\{\{([a-z]+)\}\}`)
)

// series are the metrics that a process shows: the values of each label by name.
type series map[string]map[string][]string

func scraped(text string) series {
	all := series{}
	for _, m := range sample.FindAllStringSubmatch(text, -1) {
		if all[m[1]] == nil {
			all[m[1]] = map[string][]string{}
		}
		for _, l := range matcher.FindAllStringSubmatch(m[2], -1) {
			all[m[1]][l[1]] = append(all[m[1]][l[1]], l[3])
		}
	}
	return all
}

// check holds an expression, and the text that shows its labels, to what there is.
func (s series) check(t *testing.T, expr, text string) {
	t.Helper()
	names := metricName.FindAllString(expr, -1)
	labels := slices.Clone(notOurs)
	for _, name := range names {
		if s[name] == nil {
			t.Errorf("%s: there is no metric %s", expr, name)
		}
		for label := range s[name] {
			labels = append(labels, label)
		}
	}
	for _, m := range selector.FindAllStringSubmatch(expr, -1) {
		for _, l := range matcher.FindAllStringSubmatch(m[2], -1) {
			if slices.Contains(notOurs, l[1]) {
				continue
			}
			for value := range strings.SplitSeq(l[3], "|") {
				if !slices.Contains(s[m[1]][l[1]], value) {
					t.Errorf("%s: metric %s has no %s=%q", expr, m[1], l[1], value)
				}
			}
		}
	}
	var used []string
	for _, m := range grouping.FindAllStringSubmatch(expr, -1) {
		used = append(used, strings.Split(m[1], ", ")...)
	}
	for _, m := range inText.FindAllStringSubmatch(text, -1) {
		used = append(used, m[1]+m[2])
	}
	for _, label := range used {
		if !slices.Contains(labels, label) {
			t.Errorf("%s: nothing in it has the label %s", expr, label)
		}
	}
}

func readInto(t *testing.T, name string, decode func([]byte, any) error, v any) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := decode(text, v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// TestWhatAlarmsWatchIsThere: a rule on a metric or a label value that is not there
// never fires, and nobody is told. Each alarm is in the runbook.
func TestWhatAlarmsWatchIsThere(t *testing.T) {
	r := endtoend.NewRig(t, endtoend.Setup{
		Binary: binary, AdminTLS: true, Outputs: []endtoend.Output{{Format: "ecs"}}, More: "companies: {\"123\": {name: Acme}}\n",
	})
	p := r.Start()
	_, text := r.Admin("/metrics")
	r.Stop(p)
	shown := scraped(text)

	t.Run("alarms", func(t *testing.T) {
		var file struct {
			Groups []struct {
				Rules []struct {
					Alert, Expr string
					Annotations map[string]string
				}
			}
		}
		readInto(t, "../../deploy/alerts.yml", yaml.Unmarshal, &file)
		runbook, err := os.ReadFile("../../docs/operations.md")
		if err != nil {
			t.Fatal(err)
		}
		rules := 0
		for _, g := range file.Groups {
			for _, rule := range g.Rules {
				rules++
				shown.check(t, rule.Expr, rule.Annotations["summary"])
				if !strings.Contains(string(runbook), "`"+rule.Alert+"`") {
					t.Errorf("docs/operations.md does not say what to do on %s", rule.Alert)
				}
			}
		}
		if rules < 10 {
			t.Errorf("only %d rules were found", rules)
		}
	})
	t.Run("dashboard", func(t *testing.T) {
		var file struct {
			Panels []struct {
				Targets []struct{ Expr, LegendFormat string }
			}
		}
		readInto(t, "../../deploy/grafana-dashboard.json", json.Unmarshal, &file)
		targets := 0
		for _, panel := range file.Panels {
			for _, target := range panel.Targets {
				targets++
				shown.check(t, target.Expr, target.LegendFormat)
			}
		}
		if targets < 10 {
			t.Errorf("only %d queries were found", targets)
		}
	})
}

// TestFeedOfACompany: the companies of the configuration have a time each, a company
// that only a payload names has none.
func TestFeedOfACompany(t *testing.T) {
	r := endtoend.NewRig(t, endtoend.Setup{
		Binary: binary, Outputs: []endtoend.Output{{Format: "ecs", Path: t.TempDir()}}, // a folder: nothing can be delivered
		More: "companies: {\"123\": {name: Acme}, quiet: {name: Quiet}}\n",
	})
	p := r.Start()
	const name, pending = "siemrelay_company_last_accepted_timestamp_seconds", "siemrelay_output_oldest_pending_timestamp_seconds"
	if _, text := r.Admin("/metrics"); !strings.Contains(text, name+`{company="123"} 0`+"\n") || !strings.Contains(text, pending+`{output="ecs"} 0`+"\n") {
		t.Errorf("before the first webhook: %s", text)
	}
	client := r.Client()
	for _, body := range []string{
		`{"record_type":"Threat","id":"1","company_id":123}`,
		`{"record_type":"Threat","id":"1","company_id":"456"}`,
	} {
		if a, err := client.Post([]byte(body)); err != nil || !a.Accepted() {
			t.Fatalf("answer %+v, %v", a, err)
		}
	}
	_, text := r.Admin("/metrics")
	if strings.Contains(text, `"456"`) {
		t.Error("a payload has made a time series")
	}
	if !strings.Contains(text, name+`{company="quiet"} 0`+"\n") {
		t.Error("the silent company has a time, or no series")
	}
	for _, zero := range []string{name + `{company="123"} 0`, pending + `{output="ecs"} 0`} {
		if strings.Contains(text, zero+"\n") {
			t.Errorf("after a webhook: %s", zero)
		}
	}
	r.Stop(p)
}
