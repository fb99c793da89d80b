package main_test

import (
	"flag"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

var (
	rounds = flag.Int("crash.rounds", 30, "how often TestKilledUnderLoad kills; the other tests of crashes follow in proportion")
	seed   = flag.Uint64("crash.seed", 0, "seed of the moments of crashes; 0 takes one from the clock")
)

// moments returns a source of random moments.
func moments(t *testing.T) *rand.Rand { return endtoend.Moments(t, "crash.seed", *seed) }

// within is a random time below limit.
func within(random *rand.Rand, limit time.Duration) time.Duration {
	return time.Duration(random.Int64N(int64(limit)))
}

// small makes a spool whose segments fill up, are followed by prepared ones and
// go, many times in one test.
func small(s endtoend.Setup) endtoend.Setup {
	s.Binary, s.MaxSize, s.Retention = binary, "8MiB", "0"
	return s
}

// share is a number of rounds in proportion to -crash.rounds, of which 30 are ordinary.
func share(ordinary int) int { return max(ordinary**rounds/30, 1) }

// run is a relay under load, and the ledgers of its outputs.
type run struct {
	*endtoend.Rig
	t        *testing.T
	load     *endtoend.Load
	ledgers  []*endtoend.Ledger
	maxAgain []int // by output: lines that may be there again after each crash
	slowest  time.Duration
}

// startRun prepares a relay and senders that wait for it.
func startRun(t *testing.T, s endtoend.Setup, o endtoend.LoadOptions) *run {
	t.Helper()
	r := &run{Rig: endtoend.NewRig(t, s), t: t}
	for _, out := range r.Outputs {
		r.ledgers = append(r.ledgers, endtoend.NewLedger(out))
		r.maxAgain = append(r.maxAgain, out.MaxEvents)
	}
	o.Client = r.Client
	r.load = endtoend.StartLoad(o)
	t.Cleanup(func() {
		r.load.SetDoor("") // whoever tries again gives up
		r.load.Stop()
	})
	return r
}

// start starts a process and lets the senders loose on it.
func (r *run) start() *endtoend.Process {
	r.t.Helper()
	p := r.Start()
	r.slowest = max(r.slowest, r.Serving().After)
	r.load.SetDoor(r.Serving().Address)
	return p
}

// ended tells the senders and the ledgers that the process is no more.
func (r *run) ended() {
	r.t.Helper()
	r.load.SetDoor("")
	for _, l := range r.ledgers {
		if err := l.Ended(); err != nil {
			r.t.Fatal(err)
		}
	}
}

// finish ends the load, lets everything come out, and checks all promises. It
// returns how long the slowest answer took.
func (r *run) finish(p *endtoend.Process) (longest time.Duration) {
	r.t.Helper()
	sent := r.load.Stop()
	r.AwaitDrained()
	r.Stop(p)
	tally := r.Tally(sent)
	r.t.Logf("%v, the slowest start %v", tally, r.slowest.Round(time.Millisecond))
	for i, l := range r.ledgers {
		if err := l.Finish(); err != nil {
			r.t.Error(err)
		}
		problems := l.Check(sent, r.maxAgain[i])
		for _, problem := range problems[:min(len(problems), 10)] {
			r.t.Errorf("output %s: %s", l.Format, problem)
		}
		r.t.Logf("output %s: %d lines, %d of them there again, %d problems", l.Format, l.Lines(), l.Again(), len(problems))
	}
	return tally.Longest
}

// TestKilledUnderLoad: what was answered with 2xx survives kill -9 at any moment,
// also while the relay starts.
func TestKilledUnderLoad(t *testing.T) {
	random := moments(t)
	r := startRun(t,
		small(endtoend.Setup{Outputs: []endtoend.Output{{Format: "ecs", MaxEvents: 20}, {Format: "cef", MaxEvents: 50}}}),
		endtoend.LoadOptions{Connections: 16, Records: 3, BodySize: 4000})
	for range *rounds {
		if random.IntN(5) == 0 { // while it starts
			p := r.Launch()
			time.Sleep(within(random, 100*time.Millisecond))
			kill(t, p)
			r.ended()
			continue
		}
		p := r.start()
		time.Sleep(within(random, 400*time.Millisecond)) // the random moment
		kill(t, p)
		r.ended()
	}
	r.finish(r.start())
}

func kill(t *testing.T, p *endtoend.Process) {
	t.Helper()
	if p.Exited() {
		t.Fatalf("the process ended by itself, log:\n%s", p.Log())
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
}

// TestPowerLost: what was answered with 2xx survives that the disk loses all that
// was not synced. One output is on that disk, one is not.
func TestPowerLost(t *testing.T) {
	const connections = 4
	disk := endtoend.NewDisk(t, 2048) // sparse: it takes what is written
	random := moments(t)
	r := startRun(t, small(endtoend.Setup{
		SpoolDir: disk.Dir + "/spool",
		Outputs:  []endtoend.Output{{Format: "ecs", MaxEvents: 20, Path: disk.Dir + "/out/events.ndjson"}, {Format: "cef", MaxEvents: 20}},
	}), endtoend.LoadOptions{Connections: connections, Records: 2, BodySize: 20_000})
	for range share(3) {
		p := r.start()
		before := r.load.Accepted()
		r.Eventually("a webhook is accepted", func() bool { return r.load.Accepted() > before })
		time.Sleep(within(random, 500*time.Millisecond)) // the random moment
		doubtful := r.load.Doubtful()
		r.load.Doubt(true)
		disk.CutPower()
		refused := r.load.Refused()
		r.Eventually("webhooks are refused because the disk is gone", func() bool { return r.load.Refused() > refused+connections })
		if n := r.load.Doubtful() - doubtful; n > 2*connections {
			t.Errorf("%d webhooks were accepted when the disk was gone", n)
		}
		kill(t, p)
		r.load.Doubt(false)
		disk.Replug()
		r.ended()
	}
	r.finish(r.start())
}

// TestStoppedUnderLoad: SIGTERM ends the process well whatever is in hand, and
// nothing is sent twice after it.
func TestStoppedUnderLoad(t *testing.T) {
	random := moments(t)
	r := startRun(t,
		small(endtoend.Setup{Plain: true, Outputs: []endtoend.Output{{Format: "ecs", MaxEvents: 100}, {Format: "cef", MaxEvents: 7}}}),
		endtoend.LoadOptions{Connections: 6, Records: 3, BodySize: 4000})
	r.maxAgain = []int{0, 0}
	for range share(8) {
		p := r.start()
		before := r.load.Accepted()
		r.Eventually("a webhook is accepted", func() bool { return r.load.Accepted() > before })
		time.Sleep(within(random, 300*time.Millisecond)) // the random moment
		began := time.Now()
		r.Stop(p)
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("the stop took %v, more than the time of grace", took)
		}
		r.ended()
	}
	r.finish(r.start())
}

// TestSecondSignal: who can't wait for a stop under way ends it by a second
// signal, and loses nothing.
func TestSecondSignal(t *testing.T) {
	r := startRun(t, endtoend.Setup{Binary: binary, Outputs: []endtoend.Output{{Format: "ecs", MaxEvents: 10}}},
		endtoend.LoadOptions{Connections: 4, Records: 1})
	p := r.start()
	r.Eventually("webhooks are accepted", func() bool { return r.load.Accepted() > 100 })
	for range 2 {
		if err := p.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	// A stop that was fast enough is as good.
	if code, err := p.AwaitExit(); err != nil || code != 0 && code != -1 {
		t.Fatalf("exit code %d, %v", code, err)
	}
	r.ended()
	r.finish(r.start())
}
