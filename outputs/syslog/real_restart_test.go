package syslog_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// restarts is how often a receiver is ended under load.
const restarts = 10

// TestRealRestarts ends a real receiver again and again while webhooks come in
// through the door of the built program, and counts what of the accepted ones it has
// in the end.
func TestRealRestarts(t *testing.T) {
	binary, err := endtoend.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	const noHold = "hold: 0s, "
	for _, c := range []struct {
		name, transport, keys string
		end                   func(*realReceiver, func()) error
		start                 func(testing.TB) *realReceiver
		lossless              bool
	}{
		{"rsyslog killed, relp", "relp", "", killed, startRsyslog, true},
		{"rsyslog killed, relp over tls", "relp+tls", "", killed, startRsyslog, true},
		{"rsyslog stalled and killed, relp", "relp", "", stalledAndKilled, startRsyslog, true},
		{"rsyslog stopped, tcp", "tcp", "", stopped, startRsyslog, true},
		{"rsyslog stopped, tls", "tls", "", stopped, startRsyslog, true},
		{"syslog-ng stopped, tls", "tls", "", stopped, startSyslogNG, true},
		// What is lost here is measured: nothing can prevent it.
		{"rsyslog stopped, tcp without hold", "tcp", noHold, stopped, startRsyslog, false},
		{"rsyslog killed, tcp", "tcp", "", killed, startRsyslog, false},
		{"rsyslog killed, tcp without hold", "tcp", noHold, killed, startRsyslog, false},
		{"rsyslog stalled and killed, tcp", "tcp", "", stalledAndKilled, startRsyslog, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := c.start(t)
			rig := r.rig(t, binary, c.transport, c.keys)
			sent := rig.underLoad(func(more func()) {
				r.must(c.end(r, more))
				r.must(r.Start())
			})
			lost, again, total := r.account(t, sent)
			t.Logf("%d events accepted, %d restarts: %d lost, %d came twice", total, restarts, lost, again)
			if c.lossless && lost > 0 {
				t.Errorf("%d of %d events are lost", lost, total)
			}
		})
	}
}

func stopped(r *realReceiver, _ func()) error { return r.Stop() }

func killed(r *realReceiver, _ func()) error { return r.Kill() }

// stalledAndKilled lets webhooks come in while the receiver's process reads nothing,
// though its kernel goes on confirming.
func stalledAndKilled(r *realReceiver, more func()) error {
	if err := r.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	more()
	return r.Kill()
}

// TestRealStalledReceiverDisturbsNobody stops a receiver's process for as long as
// webhooks come in: another output gets them all, the door answers, and the program does
// not grow. When the receiver goes on, it gets all of them too.
func TestRealStalledReceiverDisturbsNobody(t *testing.T) {
	binary, err := endtoend.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, transport := range []string{"tcp", "relp"} {
		t.Run(transport, func(t *testing.T) {
			r := startRsyslog(t)
			rig := r.rig(t, binary, transport, "timeout: 1s, ", endtoend.Output{Format: "ecs"})
			r.must(r.Signal(syscall.SIGSTOP))
			load := endtoend.StartLoad(endtoend.LoadOptions{Client: rig.Client, Connections: 4, Records: 20, BodySize: 600})
			load.SetDoor(rig.Serving().Address)
			rig.Eventually("webhooks are accepted", func() bool { return load.Accepted() >= 2000 })
			early := rig.resident()
			goal := load.Accepted() + 8000
			rig.Eventually("more webhooks are accepted", func() bool { return load.Accepted() >= goal })
			sent := load.Stop()
			rig.Eventually("the other output has all", func() bool { return rig.Pending()["ecs"] == "0" })
			if left := rig.Pending()["siem"]; left == "0" {
				t.Error("nothing is pending for the receiver that stands still")
			}
			if late := rig.resident(); late > early+64<<20 {
				t.Errorf("memory grew from %d to %d bytes", early, late)
			}
			r.must(r.Signal(syscall.SIGCONT))
			rig.Eventually("everything is delivered", func() bool { return rig.Pending()["siem"] == "0" })
			if lost, again, total := r.account(t, sent); lost > 0 || total < 10_000 {
				t.Errorf("%d of %d events are lost, %d came twice", lost, total, again)
			}
		})
	}
}

// siemRig is the built program with one output, to a real receiver.
type siemRig struct {
	*endtoend.Rig
	tb      testing.TB
	process *endtoend.Process
}

// resident is how much memory the program has, in bytes.
func (r *siemRig) resident() int64 {
	r.tb.Helper()
	rss, err := r.process.Memory("VmRSS")
	if err != nil {
		r.tb.Fatal(err)
	}
	return rss
}

// rig starts the program with an output to r beside others; more are keys of its
// syslog block.
func (r *realReceiver) rig(tb testing.TB, binary, transport, more string, others ...endtoend.Output) *siemRig {
	tb.Helper()
	block := fmt.Sprintf("{address: %q, %s", r.url(transport), more)
	if strings.HasSuffix(transport, "tls") {
		block += fmt.Sprintf("tls: {ca_file: %q, cert_file: %q, key_file: %q}", r.files.authority, r.files.client, r.files.clientKey)
	}
	rig := endtoend.NewRig(tb, endtoend.Setup{Binary: binary, Plain: true, Outputs: others, More: fmt.Sprintf(
		"  - name: siem\n    type: syslog\n    format: cef\n    batch: {max_events: 1000, max_wait: 2ms}\n    retry: {min: 10ms, max: 100ms}\n    syslog: %s}\n", block)})
	return &siemRig{rig, tb, rig.Start()}
}

// underLoad sends webhooks while something is done restarts times, each time after
// some hundred were accepted, and returns them when the output has nothing left.
// something can have some hundred more accepted.
func (r *siemRig) underLoad(something func(more func())) []endtoend.Delivery {
	load := endtoend.StartLoad(endtoend.LoadOptions{Client: r.Client, Connections: 4, Records: 20, BodySize: 600})
	load.SetDoor(r.Serving().Address)
	more := func() {
		goal := load.Accepted() + 400
		r.Eventually("webhooks are accepted", func() bool { return load.Accepted() >= goal })
	}
	for range restarts {
		more()
		something(more)
	}
	sent := load.Stop()
	r.Eventually("everything is delivered", func() bool { return r.Pending()["siem"] == "0" })
	return sent
}

// account compares what was accepted with what the receiver has. Whatever it has must
// be whole and have been sent, and the first copies must be in order for each record.
func (r *realReceiver) account(t *testing.T, sent []endtoend.Delivery) (lost, again, total int) {
	wanted := map[string]bool{}
	for _, d := range sent {
		if d.Accepted() {
			wanted[d.Answer.ID] = true
		}
	}
	total = len(wanted)
	seen := map[string]bool{}
	last := map[string]int{}
	for _, line := range r.lines() {
		var x record
		if err := json.Unmarshal(line, &x); err != nil {
			// rsyslog was killed while it wrote a record, and went on in the same line.
			at := bytes.LastIndex(line, []byte(`{"raw":`))
			if at <= 0 || json.Unmarshal(line[at:], &x) != nil {
				t.Fatalf("%v in %s", err, line)
			}
			t.Logf("a torn record: %.100q", line)
		}
		p, err := parseCEF(x.Msg)
		if err != nil || !strings.HasSuffix(x.Msg, " cn1Label=ecsSeverity") {
			// A line that was cut off when the connection broke is a record of its own
			// to rsyslog, and may look like a shorter event. The whole one must be there
			// too. Octet counting and RELP have no such pieces.
			if x.Input != "tcp" {
				t.Errorf("a piece of an event: %v in %q", err, x.Raw)
			}
			t.Logf("a torn line: %.100q", x.Raw)
			continue
		}
		id := p.Values["cs6"]
		if seen[id] {
			again++
			continue
		}
		seen[id] = true
		n, err := strconv.Atoi(between(x.Raw, `sequence="`, `"`))
		key := between(x.Raw, `record="`, `"`)
		if err != nil || key == "" || n <= last[key] {
			t.Errorf("event %s of record %q with sequence %d came after %d (%v)", id, key, n, last[key], err)
		}
		last[key] = n
		delete(wanted, id)
	}
	if len(seen) == 0 {
		t.Errorf("the receiver has nothing")
	}
	return len(wanted), again, total
}

func between(s, before, after string) string {
	_, s, _ = strings.Cut(s, before)
	s, _, _ = strings.Cut(s, after)
	return s
}
