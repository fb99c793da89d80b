package main

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestReadiness: what is in the way of webhooks, one thing after the other.
func TestReadiness(t *testing.T) {
	var stored, certificate error
	needed := int64(0)
	r := &readiness{writable: func() error { return stored }, needed: func() int64 { return needed }, most: 1000}
	check := func(when, want string) {
		t.Helper()
		err := r.check()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", when, err, want)
		}
	}
	check("before the door listens", "not open")
	r.certificate = func() error { return certificate }
	r.open.Store(true)
	check("with nothing in the way", "")
	needed = 950
	check("at 95%", "")
	needed = 951
	check("over 95%", "nearly full: 951 bytes are waiting, max_size is 1000")
	if err := r.refusal(); err != nil {
		t.Errorf("a nearly full spool refuses: %v", err)
	}
	certificate = errors.New("it expired")
	check("with two things", "it expired; the spool is nearly full")
	stored = errors.New("disk failed")
	check("on a failed disk", "disk failed")
	stored, certificate, needed = nil, nil, 0
	check("after all is mended", "")
	r.open.Store(false)
	check("while it stops", "not open")
}

// TestValidity: a certificate whose time has not begun is refused by senders too.
func TestValidity(t *testing.T) {
	from := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	now := from
	check := validity(func() (time.Time, time.Time) { return from, from.Add(time.Hour) }, func() time.Time { return now })
	for _, c := range []struct {
		after time.Duration
		want  string
	}{{-time.Second, "not valid before 2026-06-01T00:00:00Z"}, {0, ""}, {time.Hour, ""}, {time.Hour + time.Second, "expired on 2026-06-01T01:00:00Z"}} {
		now = from.Add(c.after)
		if err := check(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("after %s: %v, want %q", c.after, err, c.want)
		}
	}
}
