package relay_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/siemrelay/siemrelay/outputs"
)

// TestOutageIsLoggedOnce: at its start, when its kind changes, every few minutes,
// and at its end with its length.
func TestOutageIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		o := &output{answer: func(context.Context, []outputs.Message) error {
			tries++
			return fmt.Errorf("read tcp 127.0.0.1:%d: connection reset", 40000+tries)
		}}
		r := start(t, newSource(events(2)...), o)
		r.after(4 * time.Minute)
		r.wantLines(1, "")
		r.wantLines(1, "level=WARN")
		r.wantLines(1, "output=test reason=unavailable")
		r.wantState("retrying")
		o.set(fails(&outputs.NotReady{Err: errors.New("401")}))
		r.after(time.Minute)
		r.wantLines(2, "")
		r.wantLines(1, "level=ERROR")
		r.after(8 * time.Minute)
		r.wantLines(3, "")
		r.wantLines(2, "reason=not_ready")
		o.set(nil)
		r.after(30 * time.Second)
		r.wantLines(4, "")
		r.wantLines(1, `msg="delivery goes on" output=test reason=not_ready`)
		r.wantLines(1, "lasted=13m")
		r.end()
	})
}

// TestFlappingOutputIsQuiet: an output that fails for a moment with each batch
// writes a few lines a minute, not two for each batch; and an outage that lasts is
// told, even if it began right after another.
func TestFlappingOutputIsQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &output{}
		s := newSource()
		r := start(t, s, o)
		for i := range 600 {
			o.set(script(fails(errDown)))
			s.add(event(i+1, "a", "x"))
			r.after(time.Second)
		}
		r.wantCursor(601)
		if n := r.lines(""); n < 4 || n > 22 {
			t.Errorf("600 short outages in ten minutes gave %d lines", n)
		}
		before := r.lines("reason=unavailable")
		o.set(fails(errDown))
		s.add(event(601, "a", "x"))
		r.after(80 * time.Second)
		if n := r.lines("reason=unavailable"); n != before+1 {
			t.Errorf("an outage that lasts gave %d lines in its first minute", n-before)
		}
		r.end()
	})
}

// TestLogIsBounded: a receiver can't fill the log, nor forge a line in it.
func TestLogIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &output{answer: fails(errors.New("<html>\nlevel=ERROR " + strings.Repeat("é", 100_000)))}
		r := start(t, newSource(events(1)...), o)
		if len(r.log.String()) > 5000 {
			t.Errorf("the log line has %d bytes", len(r.log.String()))
		}
		r.wantLines(1, "")
		if strings.ContainsRune(r.log.String(), '\ufffd') {
			t.Error("the error was cut inside a character")
		}
		r.end()
	})
}

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &output{answer: script(fails(errDown), outcomes("ddddddddrr"))}
		r := start(t, newSource(events(12)...), o)
		if n := r.metric("siemrelay_output_last_success_timestamp_seconds"); n != 0 {
			t.Errorf("there was a success at %v already", n)
		}
		r.after(time.Minute)
		for name, want := range map[string]float64{
			"siemrelay_output_sent_events_total": 12,
			"siemrelay_output_batches_total":     2,
		} {
			if got := r.metric(name); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
		for reason, want := range map[string]float64{
			"unavailable": 1, "partial": 1,
			"not_ready": 0, "dead_letters": 0, "too_large": 0, "malformed": 0, "panic": 0, "read": 0, "commit": 0,
		} {
			if got := r.metric("siemrelay_output_retries_total", reason); got != want {
				t.Errorf("retries for %s are %v, want %v", reason, got, want)
			}
		}
		if got := r.metric("siemrelay_output_last_success_timestamp_seconds"); got != float64(o.times[3].Unix()) {
			t.Errorf("the last success was at %v, want %v", got, o.times[3].Unix())
		}
		for name, want := range map[string]struct {
			count uint64
			sum   float64
		}{
			"siemrelay_output_batch_events":          {2, 12},
			"siemrelay_output_batch_bytes":           {2, float64(bodyBytes(o))},
			"siemrelay_output_send_duration_seconds": {4, 0},
		} {
			h := r.find(name).GetHistogram()
			if h.GetSampleCount() != want.count || h.GetSampleSum() != want.sum {
				t.Errorf("%s has %d samples with the sum %v, want %v", name, h.GetSampleCount(), h.GetSampleSum(), want)
			}
		}
		r.end()
	})
}

func bodyBytes(o *output) int {
	n := 0
	for _, m := range o.delivered {
		n += len(m.Body)
	}
	return n
}
