package main_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// poisoned marks each tenth webhook of a record as one that outputs may refuse.
func poisoned(number int) string {
	if number%10 == 0 {
		return "poison"
	}
	return ""
}

// TestOperatedKilled: a person replays, cancels, sends dead letters again and drops
// them, in the running relay and in the files of the stopped one, while it is
// killed again and again: the ledger is exact in every scrape and in every status.
func TestOperatedKilled(t *testing.T) {
	random := moments(t)
	names := []string{"ecs", "cef"}
	setup, output := refusing(t, endtoend.Setup{Outputs: []endtoend.Output{{Format: "ecs", MaxEvents: 20}, {Format: "cef", MaxEvents: 50, When: `severity >= 73`}}}) // all of them
	r := startAudited(t, setup, endtoend.LoadOptions{Connections: 4, Records: 3, BodySize: 1000, Retries: true, Mark: poisoned})
	for _, l := range r.ledgers {
		l.Unordered = true
	}
	dropped := false
	operate := func() {
		name := names[random.IntN(2)]
		switch random.IntN(6) {
		case 0:
			output.takes(name)
		case 1:
			output.refuse(name, "poison")
		case 2:
			r.Must("deadletters", "replay", "--output", name)
		case 3: // there may be one already
			if ran := r.Run("replay", "--output", name, "--since", "1h"); ran.Code != 0 && !strings.Contains(ran.Err, "under way") {
				t.Errorf("replay: %+v", ran)
			}
		case 4:
			r.Must("replay", "--output", name, "--cancel", "--yes")
		case 5:
			var page struct{ Letters []letter }
			r.JSON(&page, "deadletters", "list", "--output", name, "--limit", "1")
			if len(page.Letters) == 1 { // it may be sent again by now
				dropped = r.Run("deadletters", "drop", fmt.Sprint(page.Letters[0].ID), "--yes").Code == 0 || dropped
			}
		}
	}
	for range *ledgerRounds {
		p := r.start()
		for range random.IntN(4) {
			operate()
			time.Sleep(within(random, 50*time.Millisecond)) // the random moment
		}
		kill(t, p)
		r.audit.SetAdmin("")
		r.run.ended()
		r.Status()
		if random.IntN(2) == 0 {
			operate()
			r.Status()
		}
	}
	p := r.start()
	before := r.load.Accepted()
	r.Eventually("webhooks are accepted", func() bool { return r.load.Accepted() > before+100 })
	r.load.Stop()
	for _, name := range names {
		output.takes(name)
	}
	r.AwaitDrained()
	r.Must("deadletters", "replay", "--all")
	r.AwaitDrained()
	accounts := r.Accounts()
	t.Logf("%+v", accounts)
	for _, name := range names {
		a := accounts[name]
		if a.Dead != 0 || a.Filtered != 0 || a.Unreadable != 0 || a.Pending != 0 || a.Delivered != a.Entered-a.Dropped || a.Entered < int64(r.load.Accepted()) {
			t.Errorf("output %s: %+v", name, a)
		}
	}
	if dropped {
		for _, l := range r.ledgers {
			l.Partial = true
		}
	}
	r.finish(p)
	scrapes, problems := r.audit.Stop()
	t.Logf("%d scrapes, %d problems", scrapes, len(problems))
	for _, problem := range problems[:min(len(problems), 10)] {
		t.Error(problem)
	}
}

// TestLettersPowerLost: a dead letter is as durable as what was delivered: when the
// disk loses all that was not synced, each event is one or the other, or pending.
func TestLettersPowerLost(t *testing.T) {
	disk := endtoend.NewDisk(t, 2048) // sparse: it takes what is written
	random := moments(t)
	setup, output := refusing(t, endtoend.Setup{SpoolDir: disk.Dir + "/spool", Outputs: []endtoend.Output{{Format: "ecs", MaxEvents: 20}}})
	output.refuse("ecs", "poison")
	r := startAudited(t, setup, endtoend.LoadOptions{Connections: 4, Records: 2, BodySize: 2000, Mark: poisoned})
	r.ledgers[0].Unordered = true
	for range share(3) {
		p := r.start()
		before := r.load.Accepted()
		r.Eventually("webhooks are accepted", func() bool { return r.load.Accepted() > before+100 })
		time.Sleep(within(random, 300*time.Millisecond)) // the random moment
		r.load.Doubt(true)
		r.audit.SetAdmin("") // from now on the relay may tell of what is gone
		disk.CutPower()
		refused := r.load.Refused()
		r.Eventually("webhooks are refused because the disk is gone", func() bool { return r.load.Refused() > refused+4 })
		kill(t, p)
		r.load.Doubt(false)
		disk.Replug()
		r.run.ended()
		if a, _ := r.Status().Output("ecs"); a.Unreadable != 0 {
			t.Errorf("status after the loss of power: %+v", a)
		}
	}
	p := r.start()
	before := r.load.Accepted()
	r.Eventually("webhooks are accepted", func() bool { return r.load.Accepted() > before+100 })
	r.load.Stop()
	r.AwaitDrained()
	var page struct{ Total int64 }
	r.JSON(&page, "deadletters", "list")
	if a := r.Accounts()["ecs"]; a.Dead == 0 || a.Dead != page.Total || a.Unreadable != 0 || a.Dropped != 0 {
		t.Errorf("%d dead letters are listed, %+v", page.Total, a)
	}
	output.takes("ecs")
	r.Must("deadletters", "replay", "--all")
	r.Eventually("all are delivered", func() bool { a := r.Accounts()["ecs"]; return a.Delivered == a.Entered })
	r.finish(p)
	_, problems := r.audit.Stop()
	for _, problem := range problems[:min(len(problems), 10)] {
		t.Error(problem)
	}
}

// TestNoRoomForDeadLetters: an output that has one dead letter too many waits, and
// says so; nothing else waits and nothing is lost. It goes on when there is room.
func TestNoRoomForDeadLetters(t *testing.T) {
	setup, output := refusing(t, endtoend.Setup{
		Outputs: []endtoend.Output{{Format: "ecs", MaxEvents: 10}, {Format: "cef"}}, More: "dead_letters: {max_size: 1MiB}\n",
	})
	output.refuse("ecs", "poison")
	d := openLabOf(t, setup)
	const events = 250 // more than twice what fits
	for n := range events {
		d.post(fmt.Sprintf(`{"record_type":"Threat","id":"%d","trigger_action":"create","title":"T","description":"poison%s"}`, n, strings.Repeat("x", 10_000)))
	}
	paused := func() endtoend.StatusOutput {
		d.t.Helper()
		var ecs endtoend.StatusOutput
		d.Eventually("the output is paused", func() bool {
			ecs, _ = d.Status().Output("ecs")
			return ecs.State == "paused"
		})
		if ecs.Delivered != 0 || ecs.Dead == 0 || ecs.Dead+ecs.Pending+ecs.Dropped != events || !strings.Contains(ecs.Error, "max_size") {
			d.t.Errorf("status of the paused output: %+v", ecs)
		}
		if !strings.Contains(strings.Join(d.Status().Problems, "\n"), "Output ecs is paused since ") {
			d.t.Errorf("the problems are %q", d.Status().Problems)
		}
		return ecs
	}
	first := paused()
	d.account("cef", allDelivered(events))
	d.restart(true)
	if again := paused(); again.Account != first.Account {
		t.Errorf("after a kill %+v, before %+v", again, first)
	}
	d.Must("deadletters", "drop", "--output", "ecs", "--yes")
	d.Eventually("there are more dead letters", func() bool { o, _ := d.Status().Output("ecs"); return o.Dead > 0 })
	second := paused()
	if second.Dropped < first.Dead {
		t.Errorf("%+v, want at least %d dropped", second, first.Dead)
	}
	output.takes("ecs")
	d.AwaitAccount("ecs", endtoend.Account{Entered: events, Delivered: second.Pending, Dead: second.Dead, Dropped: second.Dropped})
	d.Must("deadletters", "replay", "--all")
	d.account("ecs", endtoend.Account{Entered: events, Delivered: events - second.Dropped, Dropped: second.Dropped})
	if s, _ := d.Status().Output("ecs"); s.State != "ok" {
		t.Errorf("status of the output in the end: %+v", s)
	}
	d.Stop(d.process)
}

// TestDeadLettersLost: what is lost of the dead letters' file is counted, and costs
// nothing else.
func TestDeadLettersLost(t *testing.T) {
	for name, lose := range map[string]func(t *testing.T, file string){
		"the file": func(t *testing.T, file string) {
			for _, f := range []string{file, file + "-wal", file + "-shm"} {
				if err := os.Remove(f); err != nil && !os.IsNotExist(err) {
					t.Fatal(err)
				}
			}
		},
		"its bytes": func(t *testing.T, file string) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			random := rand.New(rand.NewPCG(1, 1))
			for i := 100; i < len(text); i++ {
				text[i] = byte(random.Uint32())
			}
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"its beginning": func(t *testing.T, file string) {
			f, err := os.OpenFile(file, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteAt(make([]byte, 4096), 0); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			setup, output := refusing(t, endtoend.Setup{Outputs: []endtoend.Output{{Format: "ecs"}, {Format: "cef"}}})
			output.refuse("ecs", "poison")
			d := openLabOf(t, setup)
			for n := range 50 {
				d.post(fmt.Sprintf(`{"record_type":"Threat","id":"%d","trigger_action":"create","title":"T%s"}`, n, poisoned(n)))
			}
			d.account("ecs", endtoend.Account{Entered: 50, Delivered: 45, Dead: 5})
			d.Stop(d.process)
			lose(t, filepath.Join(d.SpoolDir, "deadletters.db"))
			d.start()
			lost := endtoend.Account{Entered: 50, Delivered: 45, Unreadable: 5}
			d.account("ecs", lost)
			if !slices.ContainsFunc(d.Status().Problems, func(p string) bool { return strings.Contains(p, "5 events of output ecs") }) {
				t.Errorf("the problems are %q", d.Status().Problems)
			}
			d.post(`{"record_type":"Threat","id":"new","trigger_action":"create","title":"poison"}`)
			lost.Entered, lost.Dead = 51, 1
			d.account("ecs", lost)
			d.account("cef", allDelivered(51))
			d.restart(true)
			d.account("ecs", lost)
			output.takes("ecs")
			d.Must("deadletters", "replay", "--all")
			lost.Delivered, lost.Dead = 46, 0
			d.account("ecs", lost)
			d.Stop(d.process)
		})
	}
}
