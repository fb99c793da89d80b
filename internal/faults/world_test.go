package faults_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// world is a relay under load whose metrics are checked all the time, and the ledgers
// of its file outputs, which come before all others.
type world struct {
	*endtoend.Rig
	t       *testing.T
	load    *endtoend.Load
	audit   *endtoend.Audit
	ledgers []*endtoend.Ledger
	process *endtoend.Process
	again   []int // by output: lines that may be there again after each end of a process
	slowest time.Duration
}

// ordinary is a load that leaves the machine some room.
var ordinary = endtoend.LoadOptions{Connections: 4, Records: 5, BodySize: 1000}

// twoFiles are two file outputs.
func twoFiles() []endtoend.Output {
	return []endtoend.Output{{Format: "ecs", MaxEvents: 20}, {Format: "cef", MaxEvents: 50}}
}

// newWorld prepares a relay and senders that wait for it.
func newWorld(t *testing.T, s endtoend.Setup, o endtoend.LoadOptions) *world {
	t.Helper()
	s.Binary = binary
	w := &world{Rig: endtoend.NewRig(t, s), t: t}
	for _, out := range w.Outputs {
		w.ledgers = append(w.ledgers, endtoend.NewLedger(out))
		w.again = append(w.again, max(out.MaxEvents, 1000*boolToInt(out.MaxEvents == 0)))
	}
	o.Client = w.Client
	w.load = endtoend.StartLoad(o)
	w.audit = endtoend.StartAudit(w.load.Accepted)
	t.Cleanup(func() {
		w.load.SetDoor("") // whoever tries again gives up
		w.load.Stop()
		w.audit.Stop()
	})
	return w
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// start starts a process and lets the senders loose on it.
func (w *world) start() {
	w.t.Helper()
	w.process = w.Start()
	w.slowest = max(w.slowest, w.Serving().After)
	w.load.SetDoor(w.Serving().Address)
	w.audit.SetAdmin(w.Serving().Admin)
}

// ended tells the senders and the ledgers that the process is no more, and checks that
// nothing was called delivered that is not in the output.
func (w *world) ended() {
	w.t.Helper()
	w.load.SetDoor("")
	w.audit.SetAdmin("")
	last := w.audit.Last()
	for i, l := range w.ledgers {
		if err := l.Ended(); err != nil {
			w.t.Fatal(err)
		}
		if told, got := last[w.Outputs[i].Name].Delivered, int64(l.Lines()-l.Again()); told > got {
			w.t.Errorf("output %s: %d events were delivered as the metrics told, %d are there", w.Outputs[i].Name, told, got)
		}
	}
}

// kill ends the process as kill -9 does.
func (w *world) kill() {
	w.t.Helper()
	w.alive()
	w.must(w.process.Kill())
	w.ended()
}

func (w *world) alive() {
	w.t.Helper()
	if w.process.Exited() {
		w.t.Fatalf("the process ended by itself, log:\n%s", w.process.Log())
	}
}

// accepts waits until n webhooks more are accepted.
func (w *world) accepts(n int) {
	w.t.Helper()
	goal := w.load.Accepted() + n
	w.Eventually(fmt.Sprintf("%d webhooks more are accepted", n), func() bool { return w.load.Accepted() >= goal })
}

// refuses waits until n webhooks more are refused.
func (w *world) refuses(n int) {
	w.t.Helper()
	goal := w.load.Refused() + n
	w.Eventually(fmt.Sprintf("%d webhooks more are refused", n), func() bool { return w.load.Refused() >= goal })
}

// ready waits until the relay calls itself ready, or not. It is to be healthy all the
// time: a restart would mend nothing.
func (w *world) ready(want bool) {
	w.t.Helper()
	status := map[bool]int{true: http.StatusOK, false: http.StatusServiceUnavailable}[want]
	w.Eventually(fmt.Sprintf("it is ready: %t", want), func() bool { got, _ := w.Admin("/-/ready"); return got == status })
	if got, text := w.Admin("/-/healthy"); got != http.StatusOK {
		w.t.Errorf("health: %d %s", got, text)
	}
}

// delivers waits until n events more are delivered to the output.
func (w *world) delivers(output string, n int64) {
	w.t.Helper()
	goal := w.Accounts()[output].Delivered + n
	w.Eventually(fmt.Sprintf("%d events more are delivered to %s", n, output), func() bool { return w.Accounts()[output].Delivered >= goal })
}

// drained waits until the outputs have nothing before them.
func (w *world) drained(outputs ...string) {
	w.t.Helper()
	w.Eventually(fmt.Sprintf("%q have everything", outputs), func() bool {
		pending := w.Pending()
		for _, o := range outputs {
			if pending[o] != "0" {
				return false
			}
		}
		return true
	})
}

// finish ends the load, lets everything come out, stops the process and checks the
// promises. others are further outputs that must come to their end.
func (w *world) finish(others ...string) []endtoend.Delivery {
	w.t.Helper()
	sent := w.load.Stop()
	w.AwaitDrained()
	w.drained(others...)
	accounts := w.Accounts()
	w.Stop(w.process)
	w.ended()
	w.t.Logf("%v, the slowest start %v", w.Tally(sent), w.slowest.Round(time.Millisecond))
	for i, l := range w.ledgers {
		w.must(l.Finish())
		problems := l.Check(sent, w.again[i])
		for _, problem := range problems[:min(len(problems), 10)] {
			w.t.Errorf("output %s: %s", w.Outputs[i].Name, problem)
		}
		name := w.Outputs[i].Name
		if got := int64(l.Lines() - l.Again()); !l.Partial && accounts[name].Delivered != got {
			w.t.Errorf("output %s has %d events, %d were delivered", name, got, accounts[name].Delivered)
		}
		w.t.Logf("output %s: %d lines, %d of them there again, %d problems", name, l.Lines(), l.Again(), len(problems))
	}
	scrapes, problems := w.audit.Stop()
	for _, problem := range problems[:min(len(problems), 10)] {
		w.t.Error(problem)
	}
	w.t.Logf("%d scrapes of the ledger, %d problems", scrapes, len(problems))
	if scrapes == 0 {
		w.t.Error("the ledger was never looked at")
	}
	return sent
}

// all checks that a sink has every event that was accepted, and returns how many it
// has more than once. got counts each event's copies by its id.
func all(t *testing.T, sent []endtoend.Delivery, got map[string]int) (again int) {
	t.Helper()
	lost := 0
	for _, d := range sent {
		if d.Accepted() && got[d.Answer.ID] == 0 {
			lost++
		}
	}
	for _, n := range got {
		again += n - 1
	}
	if lost > 0 {
		t.Errorf("%d accepted events are lost", lost)
	}
	return again
}

// resident is how much memory the process has, in bytes.
func (w *world) resident() int64 {
	w.t.Helper()
	rss, err := w.process.Memory("VmRSS")
	w.must(err)
	return rss
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}
