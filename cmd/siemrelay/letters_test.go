package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// refuser is what the outputs of a rig take and do not take.
type refuser struct {
	t   *testing.T
	dir string
}

// refusing makes a setup's relay one whose outputs refuse what they are told to.
func refusing(t *testing.T, s endtoend.Setup) (endtoend.Setup, refuser) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := refuser{t, t.TempDir()}
	s.Binary, s.Serve, s.Env = binary, self, []string{refusingDir + "=" + r.dir}
	return s, r
}

// refuse makes an output refuse events that contain the text.
func (r refuser) refuse(name, text string) { r.write(name+".refuse", text) }

// hold makes an output take nothing.
func (r refuser) hold(name string) { r.write(name+".hold", "") }

// takes ends all that refuse and hold have begun.
func (r refuser) takes(name string) {
	r.t.Helper()
	for _, file := range []string{name + ".refuse", name + ".hold"} {
		if err := os.Remove(filepath.Join(r.dir, file)); err != nil && !os.IsNotExist(err) {
			r.t.Fatal(err)
		}
	}
}

func (r refuser) write(name, text string) {
	r.t.Helper()
	if err := endtoend.Replace(filepath.Join(r.dir, name), []byte(text)); err != nil {
		r.t.Fatal(err)
	}
}

// letter is a dead letter as the commands tell it.
type letter struct {
	ID                                 int64
	Output, Reason, Error, Title, Code string
	EventID                            string `json:"event_id"`
	Refused                            time.Time
	Tries                              int
	Queued                             bool
	Body                               struct{ Text string }
	Now                                struct {
		Format string
		Record struct{ Text string }
	}
}

// letters lists the dead letters of an output.
func (d *lab) letters(output string) (total int, list []letter) {
	d.t.Helper()
	var page struct {
		Letters []letter
		Total   int
	}
	d.JSON(&page, "deadletters", "list", "--output", output)
	return page.Total, page.Letters
}

// account waits until metrics and status both say that of an output.
func (d *lab) account(output string, want endtoend.Account) {
	d.t.Helper()
	d.AwaitAccount(output, want)
	if got, _ := d.Status().Output(output); got.Account != want {
		d.t.Errorf("status of %s: %+v, want %+v", output, got, want)
	}
}

// TestOneRefusedOfAThousand: it becomes a dead letter that tells why, everything
// else is delivered; when the cause is mended a replay delivers it. A kill in
// between changes nothing.
func TestOneRefusedOfAThousand(t *testing.T) {
	const events, bad = 1000, 500
	setup, output := refusing(t, endtoend.Setup{Outputs: []endtoend.Output{{Format: "ecs", MaxEvents: 100}, {Format: "cef"}}})
	output.refuse("ecs", "the poison of it")
	d := openLabOf(t, setup)
	var id, body string
	for i := range events {
		text := "nothing"
		if i == bad {
			text = "the poison of it"
		}
		b := fmt.Sprintf(`{"record_type":"Threat","id":"t-%d","company_id":"c-1","trigger_action":"create","title":"Title %d","description":%q}`, i, i, text)
		if a := d.post(b); i == bad {
			id, body = a.ID, b
		}
	}
	dead := endtoend.Account{Entered: events, Delivered: events - 1, Dead: 1}
	d.account("ecs", dead)
	d.account("cef", endtoend.Account{Entered: events, Delivered: events})
	total, list := d.letters("ecs")
	if total != 1 || len(list) != 1 {
		t.Fatalf("%d dead letters, %+v, want one", total, list)
	}
	number := fmt.Sprint(list[0].ID)
	var l letter
	d.JSON(&l, "deadletters", "show", number)
	if l.EventID != id || l.Output != "ecs" || l.Reason != "refused" || l.Tries != 1 || l.Code != "threat.create" || l.Title != fmt.Sprintf("Title %d", bad) ||
		!strings.Contains(l.Error, "mapper_parsing_exception: it contains the poison") || l.Body.Text != body ||
		l.Now.Format != "ecs" || !strings.Contains(l.Now.Record.Text, id) {
		t.Errorf("the dead letter is %+v", l)
	}
	if text := d.Must("deadletters", "show", number); !strings.Contains(text, "mapper_parsing_exception") || !strings.Contains(text, "the poison of it") {
		t.Errorf("deadletters show does not explain:\n%s", text)
	}
	if !strings.Contains(strings.Join(d.Status().Problems, "\n"), "Output ecs has 1 dead letter") {
		t.Errorf("the problems of the status are %q", d.Status().Problems)
	}
	d.restart(true)
	d.account("ecs", dead)

	// A replay before the cause is mended is refused again.
	d.Must("deadletters", "replay", number)
	d.Eventually("it is refused again", func() bool { _, list := d.letters("ecs"); return len(list) == 1 && list[0].Refused.After(l.Refused) })
	d.account("ecs", dead)

	// A kill while it waits.
	output.takes("ecs")
	output.hold("ecs")
	d.Must("deadletters", "replay", number, "--dry-run")
	d.account("ecs", dead)
	d.Must("deadletters", "replay", "--output", "ecs")
	queued := endtoend.Account{Entered: events, Delivered: events - 1, Pending: 1}
	d.account("ecs", queued)
	d.restart(true)
	d.account("ecs", queued)
	d.end(true)
	if got, _ := d.Status().Output("ecs"); got.Account != queued || got.Queued != 1 {
		t.Errorf("status of the stopped relay: %+v, want %+v", got, queued)
	}
	d.start()
	output.takes("ecs")
	done := endtoend.Account{Entered: events, Delivered: events}
	d.account("ecs", done)
	d.restart(true)
	d.account("ecs", done)
	if total, list := d.letters("ecs"); total != 0 || len(list) != 0 {
		t.Errorf("%d dead letters are left: %+v", total, list)
	}
	docs := d.documents(0)
	if len(docs) != events || docs[events-1].Event.ID != id || docs[events-1].Event.Original != body {
		t.Errorf("%d documents, the last one is %+v; want %d, and the one that was refused", len(docs), docs[len(docs)-1], events)
	}
	d.Stop(d.process)
}

// TestLettersKilled: the ledger is exact in every scrape while the relay is killed
// again and again, outputs refuse some events, and a person replays dead letters.
// In the end every event was delivered.
func TestLettersKilled(t *testing.T) {
	random := moments(t)
	setup, output := refusing(t, endtoend.Setup{Outputs: []endtoend.Output{{Format: "ecs", MaxEvents: 20}, {Format: "cef", MaxEvents: 50}}})
	names := []string{"ecs", "cef"}
	for _, name := range names {
		output.refuse(name, "poison")
	}
	r := startAudited(t, setup, endtoend.LoadOptions{Connections: 6, Records: 3, BodySize: 1000, Retries: true, Mark: poisoned})
	for _, l := range r.ledgers {
		l.Unordered = true
	}
	for range *ledgerRounds {
		p := r.start()
		time.Sleep(within(random, 200*time.Millisecond)) // the random moment
		if name := names[random.IntN(2)]; random.IntN(2) == 0 {
			output.takes(name)
			r.Must("deadletters", "replay", "--output", name)
			time.Sleep(within(random, 100*time.Millisecond)) // the random moment
			output.refuse(name, "poison")
		}
		kill(t, p)
		r.ended()
		if random.IntN(3) == 0 { // in the files of the stopped relay
			r.Must("deadletters", "replay", "--all")
		}
	}
	p := r.start()
	before := r.load.Accepted()
	r.Eventually("webhooks are accepted", func() bool { return r.load.Accepted() > before+500 })
	r.load.Stop()
	for _, name := range names {
		r.Eventually("nothing is pending", func() bool { return r.Accounts()[name].Pending == 0 })
		var page struct{ Total int64 }
		r.JSON(&page, "deadletters", "list", "--output", name)
		if a := r.Accounts()[name]; page.Total != a.Dead || a.Dead == 0 {
			t.Errorf("output %s: %d dead letters are listed, %+v", name, page.Total, a)
		}
		output.takes(name)
	}
	r.Must("deadletters", "replay", "--all")
	r.settle(p, endtoend.Account{})
}
