package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/siemrelay/siemrelay/internal/deadletter"
	"github.com/siemrelay/siemrelay/internal/spool"
)

// until runs a command again and again until what it prints matches: what became of
// an event is known a moment after the event itself.
func until(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) >= 2)
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	eventually(ts, func() string {
		err := ts.Exec(args[1], args[2:]...)
		if out := ts.ReadFile("stdout"); !pattern.MatchString(out) {
			return fmt.Sprintf("%v does not print %s: %v\n%s", args[1:], args[0], err, out)
		}
		return ""
	})
}

// post sends a file as the body of a webhook, whatever is in it.
func post(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 2)
	req, err := http.NewRequest(http.MethodPost, "http://"+ts.Getenv("DOOR")+"/webhooks/defense", bytes.NewReader([]byte(ts.ReadFile(args[0]))))
	ts.Check(err)
	req.SetBasicAuth("defense", ts.Getenv("SIEMRELAY_SEND_PASSWORD"))
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	ts.Check(err)
	resp.Body.Close()
	if got := strconv.Itoa(resp.StatusCode); got != args[1] {
		ts.Fatalf("answered %s, want %s", got, args[1])
	}
}

// refuse plays, on the files of a stopped relay, an output that refuses the next N
// events for good: the outputs that there are refuse nothing that can be sent here.
func refuse(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 4)
	dir, output := ts.MkAbs(args[0]), args[1]
	n, err := strconv.ParseUint(args[2], 10, 64)
	ts.Check(err)
	s, err := spool.Open(spool.Options{Dir: dir, MaxSize: 1 << 30, Offline: true})
	ts.Check(err)
	letters, err := deadletter.Open(deadletter.Options{Path: filepath.Join(dir, "deadletters.db"), MaxSize: 1 << 30})
	ts.Check(err)
	defer func() { ts.Check(errors.Join(letters.Close(), s.Close())) }()
	c, err := s.Cursor(output, spool.FromNow)
	ts.Check(err)
	p := c.Position()
	ts.Check(letters.Begin(output, deadletter.Position{Next: p.Next, Pass: p.Pass, ReplayNext: p.ReplayNext, Dead: p.Dead}))
	now := time.Now()
	var list []deadletter.Letter
	for range n {
		r, ok, err := c.Next()
		ts.Check(err)
		if !ok {
			ts.Fatalf("%s has no more events", output)
		}
		list = append(list, deadletter.Letter{
			Output: output, Sequence: r.Sequence, EventID: r.ID, Accepted: r.Accepted,
			Kind: "threat", Company: "abc12345", Record: "t-" + strconv.FormatUint(r.Sequence, 10), Title: "Title", Code: "threat.create",
			Reason: "refused", Error: args[3], Tries: 1, First: now, Refused: now, Body: bytes.Clone(r.Body),
		})
	}
	ts.Check(letters.Put(list))
	ts.Check(c.Commit(list[n-1].Sequence+1, spool.Outcome{Dead: n}))
	letters.Settle(output, 0)
}
