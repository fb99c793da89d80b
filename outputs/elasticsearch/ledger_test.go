package elasticsearch_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/siemrelay/siemrelay/internal/endtoend"
	"github.com/siemrelay/siemrelay/outputs/elasticsearch/elasticsearchtest"
)

// ofDocument is what a cluster says of a document that it will never take.
var ofDocument = []elasticsearchtest.Refusal{
	{Status: 400, Type: "document_parsing_exception", Reason: "failed to parse field [event.severity]"},
	{Status: 400, Type: "mapper_parsing_exception", Reason: "failed to parse"},
	{Status: 400, Type: "illegal_argument_exception", Reason: `Document contains at least one immense term in field="x"`},
	{Status: 400, Type: "strict_dynamic_mapping_exception", Reason: "mapping set to strict"},
}

// doom is what a document's refusal is, nil if it is taken: one of 32 is not.
func doom(id string) *elasticsearchtest.Refusal {
	var n uint64
	if _, err := fmt.Sscanf(id[:8], "%x", &n); err != nil || len(id) != 32 || n%32 != 7 {
		return nil
	}
	r := ofDocument[n/32%uint64(len(ofDocument))]
	return &r
}

// TestLedgerAgainstHostileCluster is the built program between senders and a cluster
// at which everything goes wrong, killed in between: nothing is lost, nothing is there
// twice, the dead letters are those that the cluster will never take and say why, and
// the ledger adds up at every scrape and is never ahead of the cluster.
func TestLedgerAgainstHostileCluster(t *testing.T) {
	binary, err := endtoend.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	server, r := elasticsearchtest.New(t), newDice(1)
	var plague atomic.Pointer[elasticsearchtest.Refusal] // of every operation, for a while
	server.Refuse(func(op elasticsearchtest.Operation) *elasticsearchtest.Refusal {
		if p := plague.Load(); p != nil {
			return p
		}
		if d := doom(op.ID); d != nil {
			return d
		}
		if r.IntN(8) > 0 {
			return nil
		}
		return mishap(r)
	})
	server.Intercept(func(w http.ResponseWriter, q *http.Request, body []byte) bool { return disaster(w, q, body, server, r) })

	key := filepath.Join(t.TempDir(), "key")
	encoded := func(n int) string {
		return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "id:%s-%d", endtoend.Secret, n))
	}
	write := func(n int) {
		if err := endtoend.Replace(key, []byte(encoded(n)+"\n")); err != nil {
			t.Fatal(err)
		}
	}
	write(0)
	server.Authorize("ApiKey " + encoded(0))
	rig := endtoend.NewRig(t, endtoend.Setup{
		Binary: binary, Outputs: []endtoend.Output{{Format: "ecs"}},
		More: fmt.Sprintf(`  - name: search
    type: elasticsearch
    batch: {max_events: 80, max_wait: 5ms}
    retry: {min: 2ms, max: 20ms}
    elasticsearch: {urls: [%q], latest: true, timeout: 5s, api_key_file: %q}
`, server.URL, key),
	})
	load := endtoend.StartLoad(endtoend.LoadOptions{Client: rig.Client, Connections: 2, Records: 20, BodySize: 300})
	defer load.Stop()
	audit := endtoend.StartAudit(load.Accepted)
	defer audit.Stop()
	process := rig.Start()
	admit := func() {
		load.SetDoor(rig.Serving().Address)
		audit.SetAdmin(rig.Serving().Admin)
	}
	admit()
	// there checks that what the ledger calls delivered is in the cluster.
	there := func() int64 {
		told := audit.Last()["search"].Delivered
		if got := int64(len(server.Documents(".ds-"))); told > got {
			t.Fatalf("%d events are delivered as the ledger tells, and %d are there", told, got)
		}
		return told
	}
	progress := func(what string) {
		from := there()
		rig.Eventually(what, func() bool { return there() > from+100 })
	}
	progress("events are delivered")
	for i, p := range []elasticsearchtest.Refusal{
		{Status: 403, Type: "cluster_block_exception", Reason: "blocked by: [FORBIDDEN/12/index read-only / allow delete (api)];"},
		{Status: 400, Type: "index_closed_exception", Reason: "closed"},
		{Status: 500, Type: "node_disconnected_exception", Reason: "disconnected"},
	} {
		plague.Store(&p)
		from := load.Accepted()
		rig.Eventually("webhooks are accepted while the cluster takes nothing", func() bool { there(); return load.Accepted() > from+100 })
		if i == 1 { // and in the midst of it
			load.SetDoor("")
			audit.SetAdmin("")
			if err := process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if _, err := process.AwaitExit(); err != nil {
				t.Fatal(err)
			}
			process = rig.Start()
			admit()
		}
		plague.Store(nil)
		progress("events are delivered again")
		server.Authorize("ApiKey " + encoded(i+1))
		rig.Eventually("the output is paused", func() bool { there(); o, _ := rig.Status().Output("search"); return o.State == "paused" })
		write(i + 1)
		progress("events are delivered with the new key")
	}
	sent := load.Stop()
	rig.Eventually("everything is delivered", func() bool { there(); return rig.Pending()["search"] == "0" && rig.Pending()["ecs"] == "0" })
	account := rig.Accounts()["search"]
	var page struct {
		Letters []struct {
			EventID       string `json:"event_id"`
			Reason, Error string
		}
		Total int64
	}
	rig.JSON(&page, "deadletters", "list", "--output", "search", "--limit", "100000")
	rig.Stop(process)
	scrapes, problems := audit.Stop()
	for _, problem := range problems[:min(len(problems), 10)] {
		t.Error(problem)
	}

	dead := map[string]bool{}
	for _, l := range page.Letters {
		dead[l.EventID] = true
		if d := doom(l.EventID); d == nil || l.Reason != "refused" || !strings.Contains(l.Error, d.Type) {
			t.Errorf("event %s is a dead letter, as %s: %s", l.EventID, l.Reason, l.Error)
		}
	}
	documents := map[string]string{} // event ids by the body's hash
	for _, d := range server.Documents(".ds-") {
		line, err := endtoend.ParseLine("ecs", d.Source)
		if err != nil {
			t.Fatal(err)
		}
		if n := server.Writes("logs-defensecom.threat-default", d.ID); n != 1 || line.EventID != d.ID || documents[line.Hash] != "" {
			t.Errorf("document %s is event %s, written %d times, and there as %q", d.ID, line.EventID, n, documents[line.Hash])
		}
		documents[line.Hash] = d.ID
	}
	accepted := int64(0)
	for _, d := range sent {
		if !d.Accepted() {
			continue
		}
		accepted++
		if doomed := doom(d.Answer.ID) != nil; doomed != dead[d.Answer.ID] || !doomed && documents[d.Hash] != d.Answer.ID {
			t.Errorf("event %s: doomed %t, dead letter %t, there as %q", d.Answer.ID, doomed, dead[d.Answer.ID], documents[d.Hash])
		}
	}
	want := endtoend.Account{Entered: account.Entered, Delivered: int64(len(documents)), Dead: int64(len(dead))}
	if account != want || page.Total != account.Dead || account.Entered < accepted || len(dead) < 10 {
		t.Errorf("the account is %+v, want %+v; %d were accepted, %d dead letters are told", account, want, accepted, page.Total)
	}
	t.Logf("%d accepted, %+v, %d scrapes, requests %v", accepted, account, scrapes, len(server.Requests()))
	if scrapes < 20 {
		t.Errorf("only %d scrapes", scrapes)
	}
}
