package receiver_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/receiver"
	"github.com/siemrelay/siemrelay/internal/receiver/receivertest"
)

// slow is how much more time than max_ms says a loaded machine may take. What
// the limit is there to catch takes the read timeout, which is longer still.
const slow = 8

// TestCorpus sends every odd and hostile delivery to a real listener. After
// each, a good webhook must be accepted: nothing an outsider sends may harm the
// next sender.
func TestCorpus(t *testing.T) {
	cases, err := receivertest.Cases()
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) < 500 {
		t.Fatalf("the corpus has %d cases, some are missing", len(cases))
	}
	for name, secure := range map[string]bool{"plain": false, "tls": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var k keeper
			d := open(t, secure, func(o *receiver.Options) { o.Rejects = k.keep })
			for _, c := range cases {
				t.Run(c.Name, func(t *testing.T) {
					runCase(t, d, c, &k)
				})
			}
			if lost := d.store.unanswered(); len(lost) != 0 {
				t.Errorf("told that %v are unanswered", lost)
			}
			if log := d.log.String(); strings.Contains(log, password) || strings.Contains(log, "panic") {
				t.Errorf("the log has a password or a panic in it:\n%s", log)
			}
			if n := d.metric(t, "siemrelay_receiver_inflight_body_bytes"); n != 0 {
				t.Errorf("%v bytes of bodies are still reserved", n)
			}
		})
	}
}

func runCase(t *testing.T, d *door, c receivertest.Case, k *keeper) {
	before := len(d.store.stored())
	deliveries, err := c.Run(context.Background(), d.Target)
	if err != nil {
		t.Fatal(err)
	}
	accepted := 0
	for _, got := range deliveries {
		if problem := c.Problem(got); problem != "" {
			t.Errorf("%s (%s); the answer was %v %q", problem, c.Expect, got.Statuses, got.Body)
		}
		checkAnswers(t, c, got)
		for _, s := range got.Statuses {
			if s == 200 {
				accepted++
			}
		}
		if limit := time.Duration(slow*c.Check.MaxMS) * time.Millisecond; limit > 0 && got.Elapsed > limit {
			t.Errorf("the answer took %s", got.Elapsed)
		}
	}
	stored := d.store.stored()[before:]
	if len(stored) != accepted {
		t.Errorf("%d accepted, %d stored", accepted, len(stored))
	}
	if want := c.Check.Delivered; want != nil && len(stored) != *want {
		t.Errorf("%d stored, want %d", len(stored), *want)
	}
	checkStored(t, c, stored)
	checkKept(t, c, deliveries, k.take())
	d.mustAccept(t)
}

// checkKept checks that the body of each refused payload was handed over as it
// was sent, and no other.
func checkKept(t *testing.T, c receivertest.Case, deliveries []receivertest.Delivery, kept []receiver.Rejected) {
	payloads, err := c.Payloads()
	if err != nil {
		t.Fatal(err)
	}
	want := 0
	for _, got := range deliveries {
		if len(got.Statuses) > 1 {
			return // only the body of the first answer is known
		}
		for _, reason := range []string{"the body is empty:", "the body is not valid", "the body must be one JSON object", "the JSON is nested"} {
			if strings.Contains(got.Body, reason) {
				want++
			}
		}
	}
	if len(kept) != want {
		t.Errorf("%d rejected bodies were kept, want %d: %+v", len(kept), want, kept)
	}
	if c.Headers["Content-Encoding"] != "" || len(payloads) != 1 {
		return
	}
	for _, r := range kept {
		if !bytes.Equal(r.Body, payloads[0]) {
			t.Errorf("kept %.200q, sent %.200q", r.Body, payloads[0])
		}
	}
}

// checkAnswers checks what holds for every answer of the door.
func checkAnswers(t *testing.T, c receivertest.Case, got receivertest.Delivery) {
	for _, s := range got.Statuses {
		if s >= 500 && s != 505 {
			t.Errorf("a payload caused a %d", s)
		}
	}
	if len(got.Interim) > 0 && got.Class() != "2xx" && c.Group != "syntax" {
		t.Errorf("answered %v before %v: a body was asked for that is not wanted", got.Interim, got.Statuses)
	}
	if len(got.Statuses) == 0 || c.Method == http.MethodHead {
		return
	}
	var answer struct {
		Status, Reason, ID string
		Duplicate          *bool
	}
	decoder := json.NewDecoder(strings.NewReader(got.Body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&answer); err != nil {
		t.Errorf("answer %q: %v", got.Body, err)
	}
	if got.Header.Get("Content-Type") != "application/json" || got.Header.Get("Server") != "" || got.Header.Get("Date") == "" {
		t.Errorf("header of the answer: %v", got.Header)
	}
	switch got.Statuses[0] {
	case 200:
		if answer.Status != "accepted" || len(answer.ID) != 32 || answer.Duplicate == nil || *answer.Duplicate {
			t.Errorf("answer %q", got.Body)
		}
		return
	case 401:
		if want := `Basic realm="siemrelay", charset="UTF-8"`; got.Header.Get("WWW-Authenticate") != want {
			t.Errorf("WWW-Authenticate %q", got.Header.Get("WWW-Authenticate"))
		}
	case 405:
		if got.Header.Get("Allow") != "POST" {
			t.Errorf("Allow %q", got.Header.Get("Allow"))
		}
	}
	if answer.Status != "rejected" || answer.Reason == "" || len(got.Body) > 120 {
		t.Errorf("answer %q", got.Body)
	}
}

// checkStored checks that what was stored is what was sent: the raw bytes, out
// of their gzip and without a byte order mark.
func checkStored(t *testing.T, c receivertest.Case, stored [][]byte) {
	payloads, err := c.Payloads()
	if err != nil {
		t.Fatal(err)
	}
	if len(payloads) != 1 || len(stored) == 0 {
		return
	}
	want := payloads[0]
	if strings.Contains(c.Headers["Content-Encoding"], "gz") || strings.Contains(c.Headers["Content-Encoding"], "GZ") {
		z, err := gzip.NewReader(bytes.NewReader(want))
		if err != nil {
			t.Fatal(err)
		}
		if want, err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
	}
	want = bytes.TrimPrefix(want, []byte("\xef\xbb\xbf"))
	for _, got := range stored {
		if !bytes.Equal(got, want) {
			t.Errorf("stored %.200q, sent %.200q", got, want)
		}
	}
}
