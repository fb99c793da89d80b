package elasticsearch_test

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/siemrelay/siemrelay/internal/endtoend"
	"github.com/siemrelay/siemrelay/outputs/elasticsearch"
)

// realEndToEnd is the built program between senders and the node, both of which are
// killed again and again: every webhook that was answered with 200 is there, once, the
// latest states are those of the last events, and the ledger adds up.
func realEndToEnd(t *testing.T, n *node) {
	binary, err := endtoend.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := elasticsearch.Setup(context.Background(), n.config, elasticsearch.SetupOptions{}); err != nil {
		t.Fatal(err)
	}
	n.ask("DELETE", "/defensecom-latest-*", "", nil)
	rig := endtoend.NewRig(t, endtoend.Setup{
		Binary: binary, Outputs: []endtoend.Output{{Format: "ecs"}},
		More: fmt.Sprintf(`  - name: search
    type: elasticsearch
    batch: {max_events: 200, max_wait: 5ms}
    retry: {min: 10ms, max: 250ms}
    elasticsearch: {urls: [%q], namespace: endtoend, latest: true, timeout: 5s}
`, n.URL),
	})
	load := endtoend.StartLoad(endtoend.LoadOptions{Client: rig.Client, Connections: 4, Records: 5, BodySize: 500})
	defer load.Stop()
	await := func(what string, count int) {
		from := load.Accepted()
		rig.Eventually(what, func() bool { return load.Accepted() >= from+count })
	}
	process := rig.Start()
	load.SetDoor(rig.Serving().Address)
	for range 2 {
		await("webhooks are accepted", 500)
		n.Kill()
		await("webhooks are accepted while the node is down", 500)
		if err := n.Restart(); err != nil {
			t.Fatal(err)
		}
		await("webhooks are accepted", 500)
		load.SetDoor("")
		if err := process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if _, err := process.AwaitExit(); err != nil {
			t.Fatal(err)
		}
		process = rig.Start()
		load.SetDoor(rig.Serving().Address)
	}
	sent := load.Stop()
	rig.Eventually("everything is delivered", func() bool { return rig.Pending()["search"] == "0" && rig.Pending()["ecs"] == "0" })
	_, metrics := rig.Admin("/metrics")
	if !strings.Contains(metrics, `siemrelay_output_events{output="search",state="dead"} 0`) {
		t.Error("there are dead letters, or no ledger")
	}
	rig.Stop(process)

	got := n.every("logs-defensecom.*-endtoend")
	ids, newest := map[string]string{}, map[string]endtoend.Line{}
	for id, source := range got {
		line, err := endtoend.ParseLine("ecs", source)
		if err != nil {
			t.Fatal(err)
		}
		if line.EventID != id {
			t.Errorf("document %s is event %s", id, line.EventID)
		}
		if other := ids[line.Hash]; other != "" {
			t.Errorf("one webhook is there as %s and as %s", other, id)
		}
		ids[line.Hash] = id
		record := fmt.Sprint(field(t, source, "defensecom", "threat", "id"), field(t, source, "defensecom", "ticket", "id"))
		if line.Sequence > newest[record].Sequence {
			newest[record] = line
		}
	}
	accepted := 0
	for _, d := range sent {
		if !d.Accepted() {
			continue
		}
		accepted++
		if ids[d.Hash] != d.Answer.ID {
			t.Errorf("webhook %d of record %s was accepted as %s and is there as %q", d.Number, d.Record, d.Answer.ID, ids[d.Hash])
		}
	}
	states := n.every("defensecom-latest-*")
	for _, source := range states {
		record := fmt.Sprint(field(t, source, "defensecom", "threat", "id"), field(t, source, "defensecom", "ticket", "id"))
		if id := field(t, source, "event", "id"); id != newest[record].EventID {
			t.Errorf("the latest state of %s is event %v, want %s", record, id, newest[record].EventID)
		}
	}
	t.Logf("%d webhooks accepted, %d documents, %d latest states", accepted, len(got), len(states))
	if len(states) != 20 {
		t.Errorf("%d latest states, want 20", len(states))
	}
}
