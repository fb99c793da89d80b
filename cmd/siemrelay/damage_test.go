package main_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// TestDamagedLog: with 2,000 pending and three outputs that have come to three
// places in the log, bytes of it are flipped. The relay starts, delivers to each
// output what can be read and it does not have, and counts the others.
func TestDamagedLog(t *testing.T) {
	const events = 2000
	d := openLab(t, endtoend.Setup{Retention: "168h", Outputs: []endtoend.Output{
		{Format: "ecs", Name: "first"}, {Format: "ecs", Name: "second"}, {Format: "ecs", Name: "third"},
	}})
	// An output that has left the configuration comes to nothing more.
	all := slices.Clone(d.Outputs)
	ids := make([]string, events)
	come := map[string]int{"first": 1500, "second": 1000, "third": 0}
	leave := func(name string) {
		d.AwaitAccount(name, endtoend.Account{Entered: int64(come[name]), Delivered: int64(come[name])})
		d.end(true)
		d.Configure(func(s *endtoend.Setup) {
			s.Outputs = slices.DeleteFunc(s.Outputs, func(o endtoend.Output) bool { return o.Name == name })
		})
	}
	leave("third")
	if err := os.Mkdir(filepath.Join(d.Dir, "elsewhere"), 0o700); err != nil {
		t.Fatal(err)
	}
	post := func(from, to int) {
		for n := from; n < to; n++ {
			ids[n] = d.post(fmt.Sprintf(`{"record_type":"Threat","id":"%d","trigger_action":"create","title":"event number %d."}`, n%50, n)).ID
		}
	}
	d.start()
	post(0, 1000)
	leave("second")
	d.start()
	post(1000, 1500)
	d.AwaitAccount("first", endtoend.Account{Entered: 1500, Delivered: 1500})
	d.end(true)
	d.Configure(func(s *endtoend.Setup) { s.Outputs[0].Path = filepath.Join(d.Dir, "elsewhere") }) // it can't be written to
	d.start()
	post(1500, events)
	d.AwaitAccount("first", endtoend.Account{Entered: events, Delivered: 1500, Pending: 500})
	d.AwaitAccount("third", endtoend.Account{Entered: events, Pending: events})
	d.end(true)

	damaged := []int{300, 700, 701, 1200, 1700, 1701, 1702}
	for _, n := range damaged {
		flip(t, d.SpoolDir, fmt.Sprintf("event number %d.", n), n%2 == 0)
	}
	d.Configure(func(s *endtoend.Setup) { s.Outputs = all })
	d.start()
	for i, o := range d.Outputs {
		from, lost := come[o.Name], 0
		var want []string
		for n := range ids {
			switch bad := slices.Contains(damaged, n); {
			case bad && n >= from:
				lost++
			case !bad || n < from:
				want = append(want, ids[n])
			}
		}
		d.account(o.Name, endtoend.Account{Entered: events, Delivered: int64(events - lost), Unreadable: int64(lost)})
		var got []string
		for _, doc := range d.documents(i) {
			got = append(got, doc.Event.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("output %s has %d events, want %d: each once, in order", o.Name, len(got), len(want))
		}
		if text := d.Must("status"); !strings.Contains(text, fmt.Sprintf("%d events of output %s could not be read", lost, o.Name)) {
			t.Errorf("status does not tell of %d unreadable events of output %s:\n%s", lost, o.Name, text)
		}
	}
	if aside, err := os.ReadDir(filepath.Join(d.SpoolDir, "aside")); err != nil || len(aside) == 0 {
		t.Errorf("kept aside: %v, %v, want the damaged file", aside, err)
	}
	// It goes on, and remembers.
	more := d.post(`{"record_type":"Threat","id":"more","title":"T"}`).ID
	d.restart(true)
	d.account("third", endtoend.Account{Entered: events + 1, Delivered: int64(events + 1 - len(damaged)), Unreadable: int64(len(damaged))})
	if docs := d.documents(2); docs[len(docs)-1].Event.ID != more {
		t.Errorf("the last event is %+v", docs[len(docs)-1])
	}
	d.Stop(d.process)
}

// flip changes one bit of the body in the log that has the text, or of its header.
func flip(t *testing.T, dir, text string, header bool) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "segments", "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		log, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		at := bytes.Index(log, []byte(text))
		if at < 0 {
			continue
		}
		at += 3
		if header { // 40 bytes, and an envelope of 48 is between it and the body
			at = bytes.LastIndex(log[:at], []byte(`{"record_type"`)) - 48 - 40 + 12
		}
		log[at] ^= 0x10
		if err := os.WriteFile(file, log, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("%q is nowhere in the log", text)
}
