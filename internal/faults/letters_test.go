package faults_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/siemrelay/siemrelay/internal/endtoend"
	"github.com/siemrelay/siemrelay/outputs/elasticsearch/elasticsearchtest"
)

// TestDeadLettersCannotBeWritten (F48): the cluster refuses one document of sixteen for
// good, and the file of the dead letters can't be written. That output waits and says so;
// it passes no event that it has not kept, and nothing else waits.
func TestDeadLettersCannotBeWritten(t *testing.T) {
	needs(t, "strace")
	server := elasticsearchtest.New(t)
	doomed := func(id string) bool { return id[0] == 'd' }
	server.Refuse(func(op elasticsearchtest.Operation) *elasticsearchtest.Refusal {
		if !doomed(op.ID) {
			return nil
		}
		return &elasticsearchtest.Refusal{Status: 400, Type: "document_parsing_exception", Reason: "failed to parse"}
	})
	w := newWorld(t, endtoend.Setup{Outputs: twoFiles()[:1], More: fmt.Sprintf("  - name: search\n    type: elasticsearch\n"+
		"    batch: {max_events: 50, max_wait: 5ms}\n    retry: {min: 10ms, max: 250ms}\n    elasticsearch: {urls: [%q], timeout: 5s}\n", server.URL)}, ordinary)
	w.start()
	w.Eventually("there are dead letters", func() bool { return w.Accounts()["search"].Dead > 3 })
	file := filepath.Join(w.SpoolDir, "deadletters.db")
	for _, c := range []struct{ call, errno string }{{"pwrite64", "ENOSPC"}, {"fsync,fdatasync", "EIO"}} {
		x := attach(t, w.process.PID(), "-P", file, "-P", file+"-wal", "-P", file+"-journal",
			"-e", "trace="+c.call, "-e", fmt.Sprintf("inject=%s:error=%s", c.call, c.errno))
		w.troubled("dead letter", "search")
		before := w.Accounts()["search"]
		w.accepts(200)
		w.drained("ecs")
		if after := w.Accounts()["search"]; after.Dead != before.Dead || after.Delivered > before.Delivered+50 {
			t.Errorf("%s answered %s: the output went from %+v to %+v", c.call, c.errno, before, after)
		}
		n := injected(x.detach())
		t.Logf("%s of the dead letters answered %s %d times", c.call, c.errno, n)
		w.delivers("search", 100)
	}
	accepted := w.finish("search")
	dead, documents := 0, map[string]int{}
	for _, d := range server.Documents(".ds-") {
		documents[d.ID]++
	}
	for _, d := range accepted {
		if !d.Accepted() {
			continue
		}
		if doomed(d.Answer.ID) {
			dead++
		} else if documents[d.Answer.ID] != 1 {
			t.Errorf("event %s is lost", d.Answer.ID)
		}
	}
	o, _ := w.Status().Output("search")
	t.Logf("%+v", o.Account)
	if o.Dead != int64(dead) || o.Delivered != int64(len(documents)) {
		t.Errorf("the account is %+v, want %d dead and %d delivered", o.Account, dead, len(documents))
	}
}
