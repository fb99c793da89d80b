package faults_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// TestNoFilesMayBeOpened (F49): a process that may have 64 files open is asked for more
// connections than that. The spool and the outputs go on opening what they need, and
// when the connections end, new ones are taken again.
func TestNoFilesMayBeOpened(t *testing.T) {
	needs(t, "prlimit")
	w := newWorld(t, endtoend.Setup{
		Serve: wrapped(t, "prlimit", "--nofile=64:64"), MaxSize: "8MiB", Retention: "0", Outputs: twoFiles(),
	}, endtoend.LoadOptions{Connections: 4, Records: 2, BodySize: 20_000}) // segments fill up all the time
	w.start()
	w.accepts(200)
	const more = 100
	idle := make(chan *endtoend.Client, more)
	for range more {
		c := w.Client()
		go func() { // until the process closes the connection or the handshake is done
			_ = c.Dial()
			idle <- c
		}()
	}
	most := 0
	before := w.load.Accepted()
	w.Eventually("webhooks are accepted meanwhile", func() bool {
		most = max(most, w.files())
		return w.load.Accepted() >= before+1500
	})
	w.alive()
	t.Logf("it had %d files open, accepted %d webhooks and refused %d meanwhile", most, w.load.Accepted()-before, w.load.Refused())
	if w.load.Refused() > 0 {
		t.Errorf("%d webhooks were refused for want of files", w.load.Refused())
	}
	if _, text := w.Admin("/metrics"); !strings.Contains(text, `siemrelay_receiver_connections_refused_total{reason="max_connections"}`) {
		t.Error("no connection was turned away: nothing was tested")
	}
	for range more {
		(<-idle).Close()
	}
	w.Eventually("a new connection is taken", func() bool {
		c := w.Client()
		defer c.Close()
		answer, err := c.Post([]byte(`{"siemrelay_test":true, not JSON`))
		return err == nil && answer.Status == http.StatusBadRequest
	})
	w.finish()
}

// files is how many files the process has open.
func (w *world) files() int {
	w.t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", w.process.PID()))
	w.must(err)
	return len(entries)
}
