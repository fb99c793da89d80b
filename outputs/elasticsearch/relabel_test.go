package elasticsearch_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/endtoend"
	"github.com/siemrelay/siemrelay/outputs/elasticsearch"
)

// realRelabel is what an operator does who finds a label wrong: he changes the file,
// starts siemrelay again, and replays. The documents and the latest states show the new
// label wherever they are, and nothing else is another than before; neither is it if
// siemrelay is killed in the middle.
func realRelabel(t *testing.T, n *node) {
	binary, err := endtoend.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	n.ask("DELETE", "/_data_stream/logs-defensecom.*-relabel", "", nil)
	n.ask("DELETE", "/defensecom-latest-*", "", nil)
	if err := elasticsearch.Setup(context.Background(), n.config, elasticsearch.SetupOptions{}); err != nil {
		t.Fatal(err)
	}
	labels := filepath.Join(t.TempDir(), "labels.yaml")
	relabel := func(label string) {
		if err := endtoend.Replace(labels, fmt.Appendf(nil, "sources:\n  Scanner::Site: {label: %s}\n", label)); err != nil {
			t.Fatal(err)
		}
	}
	relabel("First scan")
	rig := endtoend.NewRig(t, endtoend.Setup{
		Binary: binary, Outputs: []endtoend.Output{{Format: "ecs"}},
		More: fmt.Sprintf(`  - name: search
    type: elasticsearch
    batch: {max_events: 20, max_wait: 5ms}
    retry: {min: 10ms, max: 250ms}
    elasticsearch: {urls: [%q], namespace: relabel, latest: true}
mappings: [%q]
`, n.URL, labels),
	})
	process := rig.Start()
	client := rig.Client()
	events := int64(0)
	post := func(id, trigger, state, more string) {
		if a, err := client.Post([]byte(threat(id, trigger, state, more))); err != nil || !a.Accepted() {
			t.Fatalf("%+v, %v", a, err)
		}
		events++
	}
	settled := func(entered int64) {
		t.Helper()
		rig.AwaitAccount("search", endtoend.Account{Entered: entered, Delivered: entered})
	}
	began := time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)
	const records = 100
	for i := range records {
		post(fmt.Sprint("r", i), "create", "detected", "")
		if i%2 == 0 {
			post(fmt.Sprint("r", i), "update", "detected", note("looking at it"))
		}
	}
	settled(events)
	if status := n.ask("POST", "/logs-defensecom.threat-relabel/_rollover", "", nil); status != 200 {
		t.Fatalf("rollover: %d", status)
	}
	for i := range records / 2 { // those with odd numbers are only created
		post(fmt.Sprint("r", 2*i), "closed", "remediated", "")
	}
	settled(events)
	before := n.search("logs-defensecom.threat-relabel", `{"match_all":{}}`)
	states := n.every("defensecom-latest-threat")

	// check finds that all is as it was, but for the label.
	check := func(label string) {
		t.Helper()
		after := n.search("logs-defensecom.threat-relabel", `{"match_all":{}}`)
		if int64(len(before.Hits.Hits)) != events || int64(len(after.Hits.Hits)) != events {
			t.Fatalf("%d events, %d documents before and %d after", events, len(before.Hits.Hits), len(after.Hits.Hits))
		}
		was := map[string]string{}
		for _, h := range before.Hits.Hits {
			was[h.Index+h.ID] = fmt.Sprint(field(t, h.Source, "event", "ingested"), field(t, h.Source, "event", "created"))
		}
		for _, h := range after.Hits.Hits {
			now := fmt.Sprint(field(t, h.Source, "event", "ingested"), field(t, h.Source, "event", "created"))
			if got := field(t, h.Source, "defensecom", "threat", "source"); got != label || now != was[h.Index+h.ID] {
				t.Errorf("document %s in %s is of the source %v, and of %s instead of %s", h.ID, h.Index, got, now, was[h.Index+h.ID])
			}
		}
		latest := n.every("defensecom-latest-threat")
		if len(latest) != records {
			t.Errorf("%d latest states", len(latest))
		}
		for id, source := range latest {
			got, want := string(source), strings.Replace(string(states[id]), "First scan", label, 1)
			if got != want {
				t.Errorf("the latest state is\n%s, want\n%s", got, want)
			}
		}
	}
	check("First scan")
	replay := func(more ...string) string {
		return rig.Must(append([]string{"replay", "--output", "search", "--since", began}, more...)...)
	}
	rig.Stop(process)
	relabel("Second scan")
	process = rig.Start()
	check("First scan")
	t.Log(replay("--overwrite", "--wait"))
	settled(2 * events)
	check("Second scan")

	rig.Stop(process)
	relabel("Third scan")
	process = rig.Start()
	replay("--overwrite")
	rig.Eventually("a part is replayed", func() bool { o, _ := rig.Status().Output("search"); return o.Replaying < events-40 })
	if err := process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := process.AwaitExit(); err != nil {
		t.Fatal(err)
	}
	process = rig.Start()
	settled(3 * events)
	rig.Stop(process)
	check("Third scan")
}
