package elasticsearch_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/elasticsearch"
	"github.com/siemrelay/siemrelay/outputs/elasticsearch/elasticsearchtest"
)

// setup runs Setup and returns its steps, one line each.
func setup(t *testing.T, server *elasticsearchtest.Server, retention string) (string, error) {
	t.Helper()
	var steps strings.Builder
	err := elasticsearch.Setup(context.Background(), configOf(server), elasticsearch.SetupOptions{
		Retention: retention, Done: func(s elasticsearch.Step) { fmt.Fprintln(&steps, s.Action, s.Kind, s.Name) },
	})
	return steps.String(), err
}

func puts(server *elasticsearchtest.Server) int {
	n := 0
	for _, q := range server.Requests() {
		if strings.HasPrefix(q, "PUT ") {
			n++
		}
	}
	return n
}

func TestSetup(t *testing.T) {
	server := elasticsearchtest.New(t)
	first, err := setup(t, server, "365d")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"created ingest pipeline defensecom@pipeline\n", "created component template defensecom@mappings\n", "created index template defensecom\n",
		"created index defensecom-latest-threat\n", "created index defensecom-latest-ticket\n",
	} {
		if !strings.Contains(first, want) {
			t.Errorf("no %q in\n%s", want, first)
		}
	}
	// The pipeline must be there before what names it.
	if strings.Index(first, "defensecom@pipeline") > strings.Index(first, "index template") {
		t.Errorf("the order is\n%s", first)
	}
	again, err := setup(t, server, "365d")
	if err != nil || strings.Contains(again, "created") || strings.Contains(again, "updated") {
		t.Errorf("again: %v\n%s", err, again)
	}
	other, err := setup(t, server, "30d")
	if err != nil || strings.Count(other, "updated") != 1 || !strings.Contains(server.Objects()["/_component_template/defensecom@settings"], `"30d"`) {
		t.Errorf("another retention: %v\n%s", err, other)
	}
	if _, err := setup(t, server, ""); err != nil || strings.Contains(server.Objects()["/_component_template/defensecom@settings"], "data_retention") {
		t.Errorf("no retention: %v", err)
	}
}

// TestSetupExistingStreams: they get what the templates give to new ones.
func TestSetupExistingStreams(t *testing.T) {
	server := elasticsearchtest.New(t)
	if err := newOutput(t, configOf(server)).Send(context.Background(), []outputs.Message{newMaker(t).message("{}")}); err != nil {
		t.Fatal(err)
	}
	if _, err := setup(t, server, "90d"); err != nil {
		t.Fatal(err)
	}
	changes := strings.Join(server.Changes(), "\n")
	for _, want := range []string{
		"/logs-defensecom.other-default/_mapping {", `/logs-defensecom.other-default/_settings {"index":{"default_pipeline":"defensecom@pipeline"}}`,
		"/_data_stream/logs-defensecom.other-default/_lifecycle {", `"data_retention": "90d"`, "/defensecom-latest-threat/_mapping {",
	} {
		if !strings.Contains(changes, want) {
			t.Errorf("no %s in\n%.3000s", want, changes)
		}
	}
}

// TestSetupRefuses: nothing is written over what is newer or not ours, and then
// nothing at all.
func TestSetupRefuses(t *testing.T) {
	for name, x := range map[string]struct {
		path, body, want string
	}{
		"newer template":   {"/_index_template/defensecom", `{"version":1000,"_meta":{"managed_by":"siemrelay"}}`, "newer siemrelay"},
		"newer component":  {"/_component_template/defensecom@mappings", `{"version":1000,"_meta":{"managed_by":"siemrelay"}}`, "newer siemrelay"},
		"newer pipeline":   {"/_ingest/pipeline/defensecom@pipeline", `{"version":1000,"description":"x (managed by siemrelay)"}`, "newer siemrelay"},
		"foreign template": {"/_index_template/defensecom-latest", `{"version":1,"_meta":{"managed_by":"fleet"}}`, "not siemrelay's"},
		"foreign pipeline": {"/_ingest/pipeline/defensecom@pipeline", `{"processors":[]}`, "not siemrelay's"},
	} {
		t.Run(name, func(t *testing.T) {
			server := elasticsearchtest.New(t)
			server.Put(x.path, x.body)
			steps, err := setup(t, server, "365d")
			if err == nil || !strings.Contains(err.Error(), x.want) {
				t.Errorf("got %v", err)
			}
			if n := puts(server); n > 0 || steps != "" {
				t.Errorf("%d things were written all the same:\n%s", n, steps)
			}
		})
	}
	server := elasticsearchtest.New(t)
	server.Put("/_index_template/defensecom", `{"version":0,"_meta":{"managed_by":"siemrelay"}}`)
	if steps, err := setup(t, server, ""); err != nil || !strings.Contains(steps, "updated index template defensecom\n") {
		t.Errorf("an older one: %v\n%s", err, steps)
	}
}

func TestSetupProducts(t *testing.T) {
	for _, x := range []struct {
		product, version string
		policies         bool
		want             string // of the error, or of the steps
	}{
		{"Elasticsearch", "8.10.4", false, "is too old"},
		{"Elasticsearch", "9.1.0", false, "created index template defensecom\n"},
		{"opensearch", "2.11.0", false, "is too old"},
		{"opensearch", "2.19.6", false, "skipped retention policy"},
		{"opensearch", "3.0.0", true, "created retention policy"},
		{"", "1", false, "neither Elasticsearch nor OpenSearch"},
	} {
		server := elasticsearchtest.New(t)
		server.Product(x.product, x.version)
		if x.policies {
			server.Policies()
		}
		steps, err := setup(t, server, "365d")
		if !strings.Contains(steps+fmt.Sprint(err), x.want) {
			t.Errorf("%s %s: %v\n%s", x.product, x.version, err, steps)
		}
		if strings.Contains(x.want, "created") != (err == nil) && !strings.Contains(x.want, "skipped") {
			t.Errorf("%s %s: %v", x.product, x.version, err)
		}
		if !x.policies {
			continue
		}
		if steps, err := setup(t, server, "365d"); err != nil || !strings.Contains(steps, "unchanged retention policy") {
			t.Errorf("again: %v\n%s", err, steps)
		}
		if steps, err := setup(t, server, "30d"); err != nil || !strings.Contains(steps, "updated retention policy") {
			t.Errorf("another retention: %v\n%s", err, steps)
		}
	}
}

// TestInspect: what validate --connect tells.
func TestInspect(t *testing.T) {
	type inspector interface {
		outputs.Checker
		Inspect(ctx context.Context) (facts, warnings []string, err error)
	}
	server := elasticsearchtest.New(t)
	c := configOf(server)
	c.Latest = true
	out := newOutput(t, c).(inspector)
	facts, warnings, err := out.Inspect(context.Background())
	if err != nil || len(facts) != 1 || !strings.Contains(facts[0], "8.19.7") || len(warnings) != 2 || !strings.Contains(warnings[0], "setup elasticsearch") {
		t.Errorf("before setup: %q, %q, %v", facts, warnings, err)
	}
	if _, err := setup(t, server, ""); err != nil {
		t.Fatal(err)
	}
	if _, warnings, err := out.Inspect(context.Background()); err != nil || len(warnings) > 0 {
		t.Errorf("after setup: %q, %v", warnings, err)
	}
	server.Intercept(func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		switch r.URL.Path {
		case "/_security/user/_has_privileges":
			_, _ = w.Write([]byte(`{"has_all_requested":false,"index":{"logs-defensecom.threat-default":{"create_doc":true},"defensecom-latest-threat":{"index":false,"read":true},"defensecom-latest-ticket":{"index":true,"read":true}}}`))
			return true
		case "/": // the login may not ask
			elasticsearchtest.Fail(w, http.StatusForbidden, "security_exception", "cluster:monitor/main")
			return true
		}
		return false
	})
	if err := out.Check(context.Background()); err == nil || !strings.Contains(err.Error(), "index on defensecom-latest-threat") || strings.Contains(err.Error(), "read") {
		t.Errorf("a login without rights: %v", err)
	}
	server.Intercept(nil)
	server.Authorize("Basic x")
	var notReady *outputs.NotReady
	if err := out.Check(context.Background()); !errors.As(err, &notReady) {
		t.Errorf("a wrong login: %v", err)
	}
	server.Close()
	if err := out.Check(context.Background()); err == nil {
		t.Error("nobody there, and all is well")
	}
	if n := puts(server); n != 10 {
		t.Errorf("a check wrote something: %d requests of setup and the rest", n)
	}
}
