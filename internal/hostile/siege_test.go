package hostile_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// siege is a relay under attack, and a good client that needs it.
type siege struct {
	*endtoend.Rig
	t       *testing.T
	process *endtoend.Process
	base    endtoend.Vitals // before anything hostile came
	posted  int
}

// patient are timeouts that a short test can wait for.
const patient = "  read_timeout: 3s\n  idle_timeout: 3s\n"

func open(t *testing.T, plain bool, receiver string) *siege {
	t.Helper()
	s := &siege{t: t, Rig: endtoend.NewRig(t, endtoend.Setup{
		Binary: binary, Plain: plain, Receiver: receiver, Outputs: []endtoend.Output{{Format: "ecs"}},
	})}
	s.process = s.Start()
	// What is made once is made, and what the machine does to the good client is known.
	t.Logf("good client before, %v", s.good(time.Duration(*seconds)*time.Second/5))
	s.base = s.Vitals(s.process)
	return s
}

// answers are how long the good client waited: on a connection that it keeps, and on
// a new one for each webhook, its handshake counted.
type answers struct {
	kept, fresh endtoend.Latencies
	again       atomic.Int64 // tries that brought no 200
}

func (a *answers) String() string {
	return fmt.Sprintf("kept: %v; fresh: %v; %d tried again", a.kept, a.fresh, a.again.Load())
}

// tries is how often the sender sends a webhook that is not accepted.
const tries = 6

// good sends a webhook every 20 ms on each of two connections, for some time. Each
// has to be accepted, within the tries that its sender makes.
func (s *siege) good(during time.Duration) *answers {
	s.t.Helper()
	a := &answers{}
	var both sync.WaitGroup
	ends := time.Now().Add(during)
	s.posted++
	from := s.posted
	for name, to := range map[string]*endtoend.Latencies{"kept": &a.kept, "fresh": &a.fresh} {
		c := s.Client()
		both.Go(func() {
			defer c.Close()
			for n := 0; time.Now().Before(ends); n++ {
				began := time.Now()
				if name == "fresh" {
					c.Close()
				}
				body := fmt.Appendf(nil, `{"record_type":"Threat","id":"%s-%d-%d","company_id":"c-1","trigger_action":"create","title":"good"}`, name, from, n)
				answer, err := c.Post(body)
				for try := 1; (err != nil || !answer.Accepted()) && try < tries; try++ {
					a.again.Add(1)
					c.Close()
					answer, err = c.Post(body)
				}
				if err != nil || !answer.Accepted() {
					s.t.Errorf("a good webhook (%s connection) got %+v, %v", name, answer, err)
				}
				*to = append(*to, time.Since(began))
				time.Sleep(20*time.Millisecond - min(time.Since(began), 20*time.Millisecond)) // its pace
			}
		})
	}
	both.Wait()
	return a
}

// attack lets a process attack while the good client goes on, and returns what both
// saw. Afterwards the relay has to be as it was.
func (s *siege) attack(what string, a attack) report {
	s.t.Helper()
	a.Address, a.TLS, a.Login = s.Serving().Address, !s.Plain, s.Logins[0]
	if a.Seconds == 0 {
		a.Seconds = *seconds
	}
	options, err := json.Marshal(a)
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), attackOptions+"="+string(options))
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	good := s.good(time.Duration(a.Seconds) * time.Second)
	during := s.Vitals(s.process)
	if err := cmd.Wait(); err != nil {
		s.t.Fatalf("attackers: %v: %s", err, problems.String())
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		s.t.Fatalf("attackers: %v: %s", err, out.String())
	}
	s.t.Logf("%s: %d connections, answers %v, cut %d, longest %v, not opened %v", what, r.Connections, r.Statuses, r.Cut, r.Longest.Round(time.Millisecond), r.Failed)
	s.t.Logf("%s: good client, %v", what, good)
	s.recovered(what, during)
	for _, w := range r.Wrong[:min(len(r.Wrong), 10)] {
		s.t.Errorf("%s: %s", what, w)
	}
	if r.Connections == 0 {
		s.t.Errorf("%s: no connection was opened: nothing was tested", what)
	}
	if r.Overstayed > 0 {
		s.t.Errorf("%s: %d connections were not cut within %v", what, r.Overstayed, a.Limit)
	}
	return r
}

// mostMemory is what a process under attack may have of the machine at its peak.
const mostMemory = 400 << 20

// recovered waits until nothing is left of an attack.
func (s *siege) recovered(what string, during endtoend.Vitals) {
	s.t.Helper()
	var after endtoend.Vitals
	s.Eventually("connections and goroutines are as before: "+what, func() bool {
		after = s.Vitals(s.process)
		return after.Descriptors <= s.base.Descriptors+8 && after.Goroutines <= s.base.Goroutines+8
	})
	peak, err := s.process.Memory("VmHWM")
	if err != nil {
		s.t.Fatal(err)
	}
	mib := func(bytes float64) string { return fmt.Sprintf("%.0f MiB", bytes/(1<<20)) }
	s.t.Logf("%s: memory before %s, during %s, after %s, peak %s; goroutines %.0f, %.0f, %.0f; descriptors %.0f, %.0f, %.0f",
		what, mib(s.base.RSS), mib(during.RSS), mib(after.RSS), mib(float64(peak)),
		s.base.Goroutines, during.Goroutines, after.Goroutines, s.base.Descriptors, during.Descriptors, after.Descriptors)
	if peak > mostMemory {
		s.t.Errorf("%s: the process took %s", what, mib(float64(peak)))
	}
}
