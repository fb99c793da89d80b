package main_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/endtoend"
	"github.com/siemrelay/siemrelay/internal/receiver/receivertest"
)

// slow is how much more time than max_ms says a loaded machine may take.
const slow = 10

// TestDoor sends every odd and hostile delivery to the relay and looks at what
// came out of its outputs.
func TestDoor(t *testing.T) {
	cases, err := receivertest.Cases()
	if err != nil {
		t.Fatal(err)
	}
	for name, plain := range map[string]bool{"plain": true, "tls": false} {
		t.Run(name, func(t *testing.T) { // one after the other: under the race detector each takes a GiB
			d := openDoor(t, plain)
			for _, c := range cases {
				t.Run(c.Name, func(t *testing.T) { d.run(t, c) })
				if d.process.Exited() {
					t.Fatalf("the process ended, log:\n%s", d.process.Log())
				}
			}
			d.Stop(d.process)
		})
	}
}

// door is a relay with an ECS and a CEF output that a test reads along.
type door struct {
	*endtoend.Rig
	receivertest.Target
	process *endtoend.Process
	control *endtoend.Client
	tails   []endtoend.Tail
	logged  int // bytes of the log that were looked at
}

func openDoor(t *testing.T, plain bool) *door {
	t.Helper()
	dir := endtoend.FastDir(t, 2048) // the answers are looked at, not the disk
	d := &door{Rig: endtoend.NewRig(t, endtoend.Setup{
		Binary: binary, Plain: plain, SpoolDir: filepath.Join(dir, "spool"),
		Outputs: []endtoend.Output{{Format: "ecs", Path: filepath.Join(dir, "ecs.out")}, {Format: "cef", Path: filepath.Join(dir, "cef.out")}},
	})}
	for _, o := range d.Outputs {
		d.tails = append(d.tails, endtoend.Tail{Path: o.Path})
	}
	d.process = d.Start()
	d.control = d.Client()
	d.Target = receivertest.Target{
		Address: d.Serving().Address, TLS: d.control.TLS, Host: "relay.example.com", Path: endtoend.Path,
		Username: d.Logins[0].Username, Password: d.Logins[0].Password, Timeout: endtoend.Patience,
	}
	return d
}

// records are what came out for one case, by output.
type records struct {
	ids   []string // of the events
	lines []string
	known int // deliveries that were answered as retries
}

// run sends one case, then an ordinary webhook, and compares what came out with
// what was answered.
func (d *door) run(t *testing.T, c receivertest.Case) {
	deliveries, err := c.Run(context.Background(), d.Target)
	if err != nil {
		t.Fatal(err)
	}
	var accepted []string
	count, known := 0, 0 // of deliveries that were accepted, and of retries among them
	for _, got := range deliveries {
		if problem := c.Problem(got); problem != "" {
			t.Errorf("%s (%s); the answer was %v %q", problem, c.Expect, got.Statuses, got.Body)
		}
		for _, s := range got.Statuses {
			if s >= 500 && s != 505 {
				t.Errorf("a payload caused a %d: %s", s, got.Body)
			}
			if s == 200 {
				count++
			}
		}
		known += strings.Count(got.Body, `"duplicate":true`)
		if got.Class() == "2xx" {
			accepted = append(accepted, answeredID(t, got.Body))
		}
		if limit := time.Duration(slow*c.Check.MaxMS) * time.Millisecond; limit > 0 && got.Elapsed > limit {
			t.Errorf("the answer took %s", got.Elapsed)
		}
	}
	d.control.Close() // the case may have taken longer than a connection may be idle
	control, err := d.control.Post(fmt.Appendf(nil, `{"record_type":"Threat","id":"control","company_id":"c-1","trigger_action":"update","title":"after %s"}`, c.Name))
	if err != nil || !control.Accepted() {
		t.Fatalf("a good webhook afterwards got %+v, %v", control, err)
	}
	for i, o := range d.Outputs {
		got := d.until(t, i, control.ID)
		if len(got.lines) != count-known {
			t.Errorf("output %s: %d accepted, %d of them retries, %d records:\n%.5000s", o.Format, count, known, len(got.lines), strings.Join(got.lines, "\n"))
		}
		for _, id := range accepted {
			if !slices.Contains(got.ids, id) {
				t.Errorf("output %s: the event %s of the answer is not there", o.Format, id)
			}
		}
		got.known = known
		checkRecords(t, c, o.Format, got)
	}
	d.checkLog(t)
}

func answeredID(t *testing.T, answer string) string {
	t.Helper()
	var a struct{ ID string }
	if err := json.Unmarshal([]byte(answer), &a); err != nil || len(a.ID) != 32 {
		t.Errorf("answer %q: %v", answer, err)
	}
	return a.ID
}

// until returns what output i got before the event with the id last.
func (d *door) until(t *testing.T, i int, last string) records {
	t.Helper()
	var got records
	deadline := time.Now().Add(endtoend.Patience)
	for time.Now().Before(deadline) {
		lines, err := d.tails[i].Read()
		if err != nil {
			t.Fatal(err)
		}
		for n, text := range lines {
			line, err := endtoend.ParseLine(d.Outputs[i].Format, text)
			if err != nil {
				t.Errorf("output %s: %v", d.Outputs[i].Format, err)
			}
			if line.EventID == last {
				if n+1 < len(lines) {
					t.Errorf("output %s: records behind the last event: %q", d.Outputs[i].Format, lines[n+1:])
				}
				return got
			}
			got.ids, got.lines = append(got.ids, line.EventID), append(got.lines, string(text))
		}
		time.Sleep(time.Millisecond) // a poll
	}
	t.Fatalf("output %s: the webhook after the case was not delivered; log:\n%s", d.Outputs[i].Format, d.process.Log())
	return got
}

// checkLog looks for a password in what the case made the relay log.
func (d *door) checkLog(t *testing.T) {
	log := d.process.Log()
	if leaks := d.Leaks(log[d.logged:]); len(leaks) > 0 {
		t.Errorf("a password in the log: %s", leaks)
	}
	d.logged = len(log)
}

// checkRecords checks what the corpus says of the records.
func checkRecords(t *testing.T, c receivertest.Case, format string, got records) {
	t.Helper()
	n := len(got.lines)
	for _, name := range []string{"delivered", "es_docs", "syslog_frames"} {
		// The corpus repeats a create and counts each: the relay knows a retry.
		if want, ok := number(t, c, name); ok && n+got.known != want {
			t.Errorf("output %s: %d records of %d retries, %s is %d", format, n, got.known, name, want)
		}
	}
	if most := c.Check.DeliveredMax; most != nil && n > *most {
		t.Errorf("output %s: %d records, at most %d may be", format, n, *most)
	}
	if each, ok := number(t, c, "delivered_each"); ok {
		checkEach(t, c, got, each)
	}
	all := strings.Join(got.lines, "\n")
	for _, text := range texts(t, c, "output_contains") {
		if n > 0 && !strings.Contains(all, text) {
			t.Errorf("output %s: %q is not in it:\n%s", format, text, all)
		}
	}
	for _, line := range got.lines {
		for _, text := range texts(t, c, "line_not_contains") {
			if strings.Contains(line, text) {
				t.Errorf("output %s: %q is in a line: %s", format, text, line)
			}
		}
		if format == "ecs" {
			checkDocument(t, c, line)
		}
	}
}

// checkEach checks that each of the records of the case came as often.
func checkEach(t *testing.T, c receivertest.Case, got records, each int) {
	t.Helper()
	if len(c.RecordIDs) == 0 {
		t.Fatal("delivered_each needs record_ids")
	}
	for _, id := range c.RecordIDs {
		n := 0
		for _, line := range got.lines {
			if strings.Contains(line, id) {
				n++
			}
		}
		if n != each {
			t.Errorf("record %s came %d times, want %d", id, n, each)
		}
	}
}

// checkDocument checks an ECS document: whose bytes it is of, and that no key of
// the payload became one that Elasticsearch gives a meaning to.
func checkDocument(t *testing.T, c receivertest.Case, line string) {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal([]byte(line), &doc); err != nil {
		t.Error(err)
		return
	}
	for key := range doc {
		if strings.HasPrefix(key, "_") {
			t.Errorf("a payload made the key %q of the document", key)
		}
	}
	if most, ok := number(t, c, "es_field_count_max"); ok {
		if n := fields(doc, ""); n > most {
			t.Errorf("%d fields, at most %d may be", n, most)
		}
	}
	event, _ := doc["event"].(map[string]any)
	payloads, err := c.Payloads()
	if err != nil {
		t.Fatal(err)
	}
	var hashes []string
	for _, p := range payloads {
		sum := sha256.Sum256(inflated(t, c, p))
		hashes = append(hashes, hex.EncodeToString(sum[:]))
	}
	if hash, _ := event["hash"].(string); len(hashes) > 0 && !slices.Contains(hashes, hash) {
		t.Errorf("event.hash is %q, that of what was sent %s", hash, hashes)
	}
}

// inflated is a payload as the relay keeps it: out of its gzip, without a byte
// order mark.
func inflated(t *testing.T, c receivertest.Case, payload []byte) []byte {
	t.Helper()
	if strings.Contains(strings.ToLower(c.Headers["Content-Encoding"]), "gzip") {
		z, err := gzip.NewReader(bytes.NewReader(payload))
		if err != nil {
			t.Fatal(err)
		}
		if payload, err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
	}
	return bytes.TrimPrefix(payload, []byte("\xef\xbb\xbf"))
}

// fields counts the fields that Elasticsearch would make: defensecom.extra is a
// single one there.
func fields(value any, path string) int {
	object, ok := value.(map[string]any)
	if !ok || path == ".defensecom.extra" {
		return 1
	}
	n := 0
	for key, v := range object {
		n += fields(v, path+"."+key)
	}
	return n
}

// number returns a check of the corpus that is a number.
func number(t *testing.T, c receivertest.Case, name string) (n int, ok bool) {
	t.Helper()
	raw, ok := c.Check.All[name]
	if ok {
		if err := json.Unmarshal(raw, &n); err != nil {
			t.Fatal(err)
		}
	}
	return n, ok
}

// texts returns a check of the corpus that is a list.
func texts(t *testing.T, c receivertest.Case, name string) (list []string) {
	t.Helper()
	if raw, ok := c.Check.All[name]; ok {
		if err := json.Unmarshal(raw, &list); err != nil {
			t.Fatal(err)
		}
	}
	return list
}
