package performance_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// door is how webhooks come.
type door struct {
	secure, anew bool // HTTPS; a new connection for each
	connections  int
}

func (d door) String() string {
	name := "HTTP"
	if d.secure {
		name = "HTTPS"
	}
	if d.anew {
		return name + ", new connections"
	}
	return name + ", keep-alive"
}

// result is what one run found.
type result struct {
	rate         float64 // accepted a second
	p50, p99     time.Duration
	server, load time.Duration // processor time for each webhook
	memory       int64         // the most that was resident, in bytes
	behind       time.Duration // until everything was delivered, after the load had ended
	again        int64         // events that a peer got twice
}

// sent is what "siemrelay send -o json" tells.
type sent struct {
	Sent, Accepted, Duplicates int64
	Failure                    string
	Rate                       float64                    `json:"accepted_per_second"`
	Latency                    struct{ P50, P99 float64 } `json:"latency_ms"`

	ids       [][16]byte    // of the events that were acknowledged
	processor time.Duration // that the sender took
}

// send sends a load to an address and waits until it is over. Every webhook has to be
// accepted.
func send(t *testing.T, r *endtoend.Rig, address string, d door, more ...string) sent {
	t.Helper()
	scheme := "http"
	args := []string{"--connections", strconv.Itoa(d.connections), "--size", strconv.Itoa(*body)}
	if d.anew {
		args = append(args, "--new-connections")
	}
	if d.secure {
		cert, _ := r.CertificateFiles()
		scheme, args = "https", append(args, "--ca-file", cert)
	}
	ids := filepath.Join(t.TempDir(), "ids")
	args = append(args, "--url", scheme+"://"+address+endtoend.Path, "--username", r.Logins[0].Username, "--acknowledged", ids, "-o", "json")
	cmd := exec.Command(binary, append([]string{"send"}, append(args, more...)...)...)
	cmd.Env = append(os.Environ(), "SIEMRELAY_SEND_PASSWORD="+r.Logins[0].Password)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	var s sent
	if err != nil || json.Unmarshal(out, &s) != nil || s.Accepted == 0 || s.Duplicates > 0 {
		t.Fatalf("siemrelay send %q: %v: %s%s", args, err, out, &problems)
	}
	s.processor = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	s.ids = readIDs(t, ids)
	if int64(len(s.ids)) != s.Accepted {
		t.Fatalf("%d webhooks were accepted, and %d ids written", s.Accepted, len(s.ids))
	}
	return s
}

func readIDs(t *testing.T, name string) (ids [][16]byte) {
	t.Helper()
	f, err := os.Open(name)
	must(t, err)
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var id [16]byte
		_, err := hex.Decode(id[:], lines.Bytes()[:32])
		must(t, err)
		ids = append(ids, id)
	}
	return ids
}

// warmUp is how long a server is sent to before its run begins.
func warmUp() time.Duration { return *runFor / 4 }

func (s sent) result() result {
	ms := func(f float64) time.Duration { return time.Duration(f * float64(time.Millisecond)) }
	return result{rate: s.Rate, p50: ms(s.Latency.P50), p99: ms(s.Latency.P99), load: s.processor / time.Duration(s.Accepted)}
}

// runBare sends a load to the bare server.
func runBare(t *testing.T, d door) result {
	t.Helper()
	r := endtoend.NewRig(t, endtoend.Setup{Binary: binary, Plain: !d.secure, Outputs: []endtoend.Output{{Format: "ecs"}}}) // for its login
	address, pid := startBare(t, r)
	send(t, r, address, d, "--duration", warmUp().String())
	before := processor(t, pid)
	s := send(t, r, address, d, "--duration", runFor.String())
	res := s.result()
	res.server = (processor(t, pid) - before) / time.Duration(s.Accepted)
	return res
}

// newRelay is a rig with an output to each peer. Without one there is an output that
// nobody is behind.
func newRelay(t *testing.T, d door, peers map[string]peer) *endtoend.Rig {
	t.Helper()
	var outputs strings.Builder
	for name, p := range peers {
		outputs.WriteString(p.output(name))
	}
	if len(peers) == 0 {
		outputs.WriteString("  - {name: down, type: syslog, syslog: {address: \"relp://127.0.0.1:1\"}}\n")
	}
	return endtoend.NewRig(t, endtoend.Setup{Binary: binary, Plain: !d.secure, MaxSize: "256GiB", More: outputs.String()})
}

// runRelay sends a load to a siemrelay with an output to each peer, waits until
// everything is delivered, and looks for every event at every peer.
func runRelay(t *testing.T, d door, peers map[string]peer) result {
	t.Helper()
	for _, p := range peers {
		t.Cleanup(p.close)
	}
	r := newRelay(t, d, peers)
	p := r.Start()
	warm := send(t, r, r.Serving().Address, d, "--duration", warmUp().String())
	awaitDelivered(t, r, len(warm.ids), peers)
	before := processor(t, p.PID())
	s := send(t, r, r.Serving().Address, d, "--duration", runFor.String())
	res := s.result()
	began := time.Now()
	acknowledged := append(warm.ids, s.ids...)
	awaitDelivered(t, r, len(acknowledged), peers)
	res.behind = time.Since(began)
	res.server = (processor(t, p.PID()) - before) / time.Duration(s.Accepted)
	var err error
	res.memory, err = p.Memory("VmHWM")
	must(t, err)
	r.Stop(p)
	for name, p := range peers {
		res.again += compare(t, name, acknowledged, p)
	}
	return res
}

// awaitDelivered waits until the accounts say that every event is with every peer, or
// waits for the output that nobody is behind.
func awaitDelivered(t *testing.T, r *endtoend.Rig, events int, peers map[string]peer) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Minute)
	for {
		open := 0
		for name, a := range r.Accounts() {
			if a.Entered != int64(events) {
				t.Fatalf("%d events were acknowledged, output %s has %+v", events, name, a)
			}
			if a.Delivered != a.Entered && len(peers) > 0 {
				open++
			}
		}
		if open == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not everything is delivered: %+v, log:\n%s", r.Accounts(), r.Log())
		}
		time.Sleep(20 * time.Millisecond) // a poll
	}
}

// compare looks for every acknowledged event at a peer, and returns how many came again.
func compare(t *testing.T, name string, acknowledged [][16]byte, p peer) (again int64) {
	t.Helper()
	ids, err := idsOf(p)
	must(t, err)
	got := make(map[[16]byte]bool, len(ids))
	for _, id := range ids {
		got[id] = true
	}
	missing := 0
	for _, id := range acknowledged {
		if !got[id] {
			missing++
		}
	}
	if missing > 0 || len(got) != len(acknowledged) {
		t.Errorf("output %s: %d of %d acknowledged events are missing, %d others came", name, missing, len(acknowledged), len(got)+missing-len(acknowledged))
	}
	return int64(len(ids) - len(got))
}

// processor is the processor time that a process has used, in steps of 10 ms
// (proc_pid_stat(5), fields 14 and 15).
func processor(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	must(t, err)
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])) // from field 3 on
	user, err := strconv.ParseInt(fields[11], 10, 64)
	must(t, err)
	system, err := strconv.ParseInt(fields[12], 10, 64)
	must(t, err)
	return time.Duration(user+system) * 10 * time.Millisecond
}
