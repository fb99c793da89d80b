package elasticsearch_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/elasticsearch/elasticsearchtest"
)

// TestOverwriteWhatCanNotBeLookedAt: a document in an index that is closed, or that the
// login may not read, is not taken for missing and written a second time.
func TestOverwriteWhatCanNotBeLookedAt(t *testing.T) {
	server := elasticsearchtest.New(t)
	out, m := newOutput(t, configOf(server)), newMaker(t)
	batch := []outputs.Message{m.message(threat("a", "update", "detected", ""))}
	if err := out.Send(context.Background(), batch); err != nil {
		t.Fatal(err)
	}
	index := server.Documents(".ds-")[0].Index
	server.Rollover("logs-defensecom.threat-default")
	batch[0].Overwrite = true
	paused := func(word string) {
		t.Helper()
		var notReady *outputs.NotReady
		if err := out.Send(context.Background(), batch); !errors.As(err, &notReady) || !strings.Contains(err.Error(), word) {
			t.Errorf("got %v", err)
		}
	}
	server.Closed(index, true)
	paused("open the index again")
	server.Closed(index, false)

	// With ignore_unavailable what may not be read is left out, as if it were not there.
	server.Intercept(func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		switch {
		case !strings.HasSuffix(r.URL.Path, "/_search"):
			return false
		case r.URL.Query().Get("ignore_unavailable") == "true":
			_, _ = w.Write([]byte(`{"timed_out":false,"hits":{"hits":[]}}`))
		default:
			elasticsearchtest.Fail(w, http.StatusForbidden, "security_exception", "action [indices:data/read/search] is unauthorized")
		}
		return true
	})
	paused("privileges")
	server.Intercept(nil)

	batch = append(batch, m.message("{}")) // whose data stream is not there
	batch[1].Overwrite = true
	if err := out.Send(context.Background(), batch); err != nil {
		t.Error(err)
	}
	if n := len(server.Documents(".ds-")); n != 2 {
		t.Errorf("%d documents", n)
	}
}

// realClosed is the same on a node: an index of the past is closed while it is replayed.
func realClosed(t *testing.T, n *node) {
	m := newMaker(t)
	m.sequence = 90000
	out := newOutput(t, n.config)
	x := m.message(threat("closed", "update", "detected", ""))
	x.Namespace = "closed"
	if err := out.Send(context.Background(), []outputs.Message{x}); err != nil {
		t.Fatal(err)
	}
	const stream = "logs-defensecom.threat-closed"
	old := n.search(stream, `{"match_all":{}}`).Hits.Hits[0].Index
	n.ask("POST", "/"+stream+"/_rollover", "", nil)
	n.ask("POST", "/"+old+"/_close", "", nil)
	x.Overwrite = true
	var notReady *outputs.NotReady
	if err := out.Send(context.Background(), []outputs.Message{x}); !errors.As(err, &notReady) {
		t.Errorf("got %v", err)
	}
	n.ask("POST", "/"+old+"/_open", "", nil)
	if got := deliver(t, out, []outputs.Message{x}, func() { time.Sleep(100 * time.Millisecond) }); len(got.done) != 1 {
		t.Errorf("got %v", got.refused)
	}
	if h := n.search(stream, `{"match_all":{}}`).Hits.Hits; len(h) != 1 || h[0].Index != old {
		t.Errorf("%d documents", len(h))
	}
}
