package soak_test

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

var outageEvents = flag.Int("soak.outage", 20_000, "how many webhooks TestOutage has in an outage; a day at 50 a second is 4,320,000")

// perSecond is how many webhooks come in a second of the outage that is simulated.
const perSecond = 50

// outage is a relay with one output that is there and one that is not.
type outage struct {
	*endtoend.Rig
	t       *testing.T
	process *endtoend.Process
	relp    *endtoend.RELPSink
	sent    map[string]int // webhooks by record, all accepted
	memory  []int64
}

func openOutage(t *testing.T) *outage {
	t.Helper()
	o := &outage{t: t, sent: map[string]int{}}
	dir := t.TempDir()
	var err error
	if o.relp, err = endtoend.NewRELPSink(filepath.Join(dir, "messages.cef"), ""); err != nil {
		t.Fatal(err)
	}
	o.Rig = endtoend.NewRig(t, endtoend.Setup{Binary: binary, MaxSize: "20GiB", Outputs: []endtoend.Output{
		{Format: "ecs", Name: "file", Type: "file", Settings: fmt.Sprintf("{path: %q, max_size: 64MiB, keep: 2}", filepath.Join(dir, "events.ndjson"))},
		o.relp.Output("relp", 1000),
	}})
	return o
}

// post sends webhooks of one record, as many as more allows, and returns how long
// each answer took. Each has to be accepted.
func (o *outage) post(c *endtoend.Client, record string, more func(n int) bool) (took endtoend.Latencies, accepted int) {
	defer c.Close()
	for more(accepted) {
		began := time.Now()
		a, err := c.Post(fmt.Appendf(nil, `{"record_type":"Threat","id":%q,"company_id":"c-1","trigger_action":"update","title":"%d","risk":"high","state":"detected"}`, record, accepted+1))
		took = append(took, time.Since(began))
		if err != nil || !a.Accepted() || a.Duplicate {
			o.t.Errorf("webhook %d of record %s got %+v, %v", accepted+1, record, a, err)
			return took, accepted
		}
		accepted++
	}
	return took, accepted
}

// trickle sends as many webhooks a second as in the outage, on one connection, while
// more holds.
func (o *outage) trickle(phase string, more func() bool) {
	o.t.Helper()
	pace := time.NewTicker(time.Second / perSecond)
	defer pace.Stop()
	took, n := o.post(o.Client(), "trickle-"+phase, func(int) bool { <-pace.C; return more() })
	o.sent["trickle-"+phase] = n
	rss, err := o.process.Memory("VmRSS")
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Logf("%s: %v; memory %d MiB", phase, took, rss>>20)
}

func during(d time.Duration) func() bool {
	ends := time.Now().Add(d)
	return func() bool { return time.Now().Before(ends) }
}

// fill sends the outage's webhooks as fast as they are answered.
func (o *outage) fill() {
	o.t.Helper()
	const connections = 64
	var all sync.WaitGroup
	var mu sync.Mutex
	var took endtoend.Latencies
	began := time.Now()
	for i := range connections {
		c := o.Client()
		all.Go(func() {
			record, most := fmt.Sprintf("day-%d", i), *outageEvents/connections
			its, n := o.post(c, record, func(n int) bool {
				if i == 0 && n%(most/8+1) == most/8 {
					o.remember()
				}
				return n < most
			})
			mu.Lock()
			defer mu.Unlock()
			o.sent[record], took = n, append(took, its...)
		})
	}
	all.Wait()
	o.remember()
	o.t.Logf("filled with one output down: %.0f webhooks a second, %v; memory after each eighth, MiB: %d",
		float64(len(took))/time.Since(began).Seconds(), took, o.memory)
}

// remember notes the memory of the process, in MiB.
func (o *outage) remember() {
	rss, err := o.process.Memory("VmRSS")
	if err != nil {
		o.t.Error(err)
	}
	o.memory = append(o.memory, rss>>20)
}

func (o *outage) pending() int64 { return o.Accounts()["relp"].Pending }

// TestOutage: what comes in a day while an output is down is accepted as fast as
// before, takes no memory, outlives a restart, and comes out in order afterwards,
// faster than it came.
func TestOutage(t *testing.T) {
	o := openOutage(t)
	o.process = o.Start()
	phase := min(time.Duration(*outageEvents)*100*time.Microsecond, 10*time.Second)
	o.trickle("before", during(phase))
	o.AwaitDrained()
	o.relp.Down()
	o.fill()
	o.trickle("backlog", during(phase))
	backlog := o.pending()
	o.Stop(o.process)
	if backlog < int64(*outageEvents)*9/10 { // they share 64 connections without a rest
		t.Fatalf("%d events are pending of %d", backlog, *outageEvents)
	}
	o.process = o.Start()
	start := o.Serving().After
	t.Logf("a start with %d pending events took %v", backlog, start.Round(time.Millisecond))
	if start > slowStart {
		t.Errorf("a start took %v", start)
	}
	if err := o.relp.Up(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	o.trickle("draining", func() bool { return o.pending() > perSecond && time.Since(began) < 20*time.Minute })
	took := time.Since(began)
	o.AwaitDrained()
	o.Stop(o.process)
	t.Logf("%d events came out in %v: %.0f a second", backlog, took.Round(10*time.Millisecond), float64(backlog)/took.Seconds())
	if rate := float64(backlog) / took.Seconds(); rate < perSecond {
		t.Errorf("they came out slower than they came in")
	}
	o.check()
	// The memory of retries fills with the first 200,000 events.
	if first, last := o.memory[len(o.memory)/4], o.memory[len(o.memory)-1]; last > first+64 {
		t.Errorf("memory grew from %d to %d MiB", first, last)
	}
}

// check reads what the output that was down has.
func (o *outage) check() {
	o.t.Helper()
	if err := o.relp.Close(); err != nil {
		o.t.Error(err)
	}
	f, err := os.Open(o.relp.Path())
	if err != nil {
		o.t.Fatal(err)
	}
	defer f.Close()
	newest := map[string]int{}
	lines, again, problems := 0, 0, []string{}
	for in := bufio.NewScanner(f); in.Scan(); lines++ {
		l, err := endtoend.ParseLine("cef", in.Bytes())
		if err != nil {
			o.t.Fatal(err)
		}
		n, _ := strconv.Atoi(l.Title)
		switch last := newest[l.Record]; {
		case n == last+1:
			newest[l.Record] = n
		case n > 0 && n <= last:
			again++
		default:
			problems = append(problems, fmt.Sprintf("line %d: webhook %s of record %s came after %d", lines+1, l.Title, l.Record, last))
		}
	}
	total := 0
	for record, n := range o.sent {
		total += n
		if newest[record] != n {
			problems = append(problems, fmt.Sprintf("record %s: the last webhook is %d, want %d", record, newest[record], n))
		}
	}
	logFirst(o.t, "output relp", problems)
	o.t.Logf("output relp: %d lines of %d webhooks, %d of them again, %d problems", lines, total, again, len(problems))
}
