package main_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// outputs configures the outputs for the next start, ECS all of them, and starts.
func (d *lab) outputs(list ...endtoend.Output) {
	d.t.Helper()
	d.Configure(func(s *endtoend.Setup) {
		s.Outputs = nil
		for _, o := range list {
			o.Format = "ecs"
			s.Outputs = append(s.Outputs, o)
		}
	})
	d.start()
}

// batch sends n webhooks and returns their ids.
func (d *lab) batch(n int) []string {
	d.t.Helper()
	var ids []string
	for range n {
		ids = append(ids, d.post(`{"record_type":"Threat","id":"same","trigger_action":"update","title":"T"}`).ID)
	}
	return ids
}

// has checks that an output's file has exactly the events, in order.
func (d *lab) has(name string, want ...[]string) {
	d.t.Helper()
	text, err := os.ReadFile(filepath.Join(d.Dir, name+".out"))
	if err != nil && !os.IsNotExist(err) {
		d.t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(text)) {
		parsed, err := endtoend.ParseLine("ecs", []byte(line))
		if err != nil {
			d.t.Fatal(err)
		}
		got = append(got, parsed.EventID)
	}
	if all := slices.Concat(want...); !slices.Equal(got, all) {
		d.t.Errorf("output %s has %d events, want %d: %s, want %s", name, len(got), len(all), got, all)
	}
}

func allDelivered(n int64) endtoend.Account { return endtoend.Account{Entered: n, Delivered: n} }

// TestOutputsComeAndGo: a new output begins where it is told to; one that has left
// the configuration keeps what was not delivered, holds up nothing, is shown, and
// goes on when it is back; one that is given up is gone.
func TestOutputsComeAndGo(t *testing.T) {
	d := openLab(t, endtoend.Setup{Outputs: []endtoend.Output{{Format: "ecs", Name: "one"}}})
	first := d.batch(100)
	d.account("one", allDelivered(100))
	d.Stop(d.process)

	d.outputs(endtoend.Output{Name: "one"}, endtoend.Output{Name: "now", Start: "now"}, endtoend.Output{Name: "oldest", Start: "oldest"})
	d.account("oldest", allDelivered(100))
	d.account("now", allDelivered(0))
	second := d.batch(10)
	d.account("oldest", allDelivered(110))
	d.account("now", allDelivered(10))
	d.account("one", allDelivered(110))
	d.end(true)

	// One is called two now: to the relay that is a new output, and one that left.
	d.outputs(endtoend.Output{Name: "two"}, endtoend.Output{Name: "oldest"})
	third := d.batch(10)
	d.account("two", allDelivered(10))
	d.account("oldest", allDelivered(120))
	left := endtoend.Account{Entered: 120, Delivered: 110, Pending: 10}
	d.account("one", left)
	d.account("now", endtoend.Account{Entered: 20, Delivered: 10, Pending: 10})
	if o, shown := d.Status().Output("one"); !shown || o.Configured || o.State != "stopped" {
		t.Errorf("status of an output that left: %v, %+v", shown, o)
	}
	for _, name := range []string{"two", "oldest"} {
		if ran := d.Run("outputs", "forget", name, "--yes"); ran.Code != 1 || !strings.Contains(ran.Err, "is in the configuration") {
			t.Errorf("forget %s, which is in the configuration: %+v", name, ran)
		}
	}
	d.end(true)

	// It comes back and has missed nothing.
	d.outputs(endtoend.Output{Name: "one"}, endtoend.Output{Name: "oldest"})
	fourth := d.batch(10)
	d.account("one", allDelivered(130))
	d.has("one", first, second, third, fourth)
	d.has("oldest", first, second, third, fourth)
	d.has("two", third)
	d.has("now", second)

	// It is given up while the relay runs, the other while it does not.
	d.forget("two", "10 pending events and 0 dead letters", endtoend.Account{Entered: 20, Delivered: 10, Pending: 10})
	d.end(true)
	d.forget("now", "20 pending events and 0 dead letters", endtoend.Account{Entered: 30, Delivered: 10, Pending: 20})

	// Who comes back after that is new.
	d.outputs(endtoend.Output{Name: "one"}, endtoend.Output{Name: "two", Start: "now"}, endtoend.Output{Name: "now", Start: "oldest"})
	d.account("two", allDelivered(0))
	d.account("now", allDelivered(130))
	d.has("two", third)
	d.has("now", second, first, second, third, fourth)
	if _, shown := d.Status().Output("oldest"); !shown {
		t.Error("an output that left is not shown")
	}
	d.Stop(d.process)
}

// forget gives an output up, after a dry run that changes nothing.
func (d *lab) forget(name, what string, kept endtoend.Account) {
	d.t.Helper()
	check := func() {
		d.t.Helper()
		if o, shown := d.Status().Output(name); !shown || o.Account != kept {
			d.t.Errorf("status of %s before it is given up: %v, %+v, want %+v", name, shown, o.Account, kept)
		}
	}
	check()
	if text := d.Must("outputs", "forget", name, "--dry-run"); !strings.Contains(text, what) {
		d.t.Errorf("the dry run of forget %s says %q, want %q", name, text, what)
	}
	check()
	if ran := d.Run("outputs", "forget", name); ran.Code != 1 || !strings.Contains(ran.Err, "--yes") {
		d.t.Errorf("forget %s without --yes and a terminal: %+v", name, ran)
	}
	check()
	d.Must("outputs", "forget", name, "--yes")
	if o, shown := d.Status().Output(name); shown {
		d.t.Errorf("status of %s after it was given up: %+v", name, o)
	}
	if !d.process.Exited() {
		if _, shown := d.Accounts()[name]; shown {
			d.t.Errorf("the metrics show %s after it was given up", name)
		}
	}
}

// TestCursorLost: an output whose cursor file is gone skips nothing. It is sent too
// much rather than too little, and its account still adds up.
func TestCursorLost(t *testing.T) {
	for name, lose := range map[string]func(cursors string) error{
		"the file":    func(cursors string) error { return os.Remove(filepath.Join(cursors, "ecs.cursor")) },
		"the folder":  os.RemoveAll,
		"its content": func(cursors string) error { return os.Truncate(filepath.Join(cursors, "ecs.cursor"), 0) },
		"its bytes": func(cursors string) error {
			return os.WriteFile(filepath.Join(cursors, "ecs.cursor"), make([]byte, 1024), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			setup, output := refusing(t, endtoend.Setup{Outputs: []endtoend.Output{{Format: "ecs"}, {Format: "cef"}}})
			output.refuse("ecs", "poison")
			d := openLabOf(t, setup)
			ids := d.batch(20)
			bad := d.post(`{"record_type":"Threat","id":"bad","trigger_action":"create","title":"poison"}`).ID
			d.account("ecs", endtoend.Account{Entered: 21, Delivered: 20, Dead: 1})
			output.hold("ecs")
			ids = append(ids, d.batch(10)...)
			d.account("ecs", endtoend.Account{Entered: 31, Delivered: 20, Dead: 1, Pending: 10})
			d.account("cef", allDelivered(31))
			d.end(true)
			if err := lose(filepath.Join(d.SpoolDir, "cursors")); err != nil {
				t.Fatal(err)
			}
			d.start()
			output.takes("ecs")
			d.Eventually("everything is delivered again", func() bool { return d.Accounts()["ecs"].Pending == 0 })
			got := map[string]bool{}
			for _, doc := range d.documents(0) {
				got[doc.Event.ID] = true
			}
			for _, id := range append(ids, bad) {
				if !got[id] {
					t.Errorf("event %s was skipped", id)
				}
			}
			a := d.Accounts()["ecs"]
			if total, list := d.letters("ecs"); int64(total) != a.Dead {
				t.Errorf("%d dead letters are listed, %+v, account %+v", total, list, a)
			}
			d.Must("status")
			d.restart(true)
			d.account("ecs", a)
			d.Stop(d.process)
		})
	}
}
