package relay_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/siemrelay/siemrelay/internal/relay"
	"github.com/siemrelay/siemrelay/outputs"
)

// TestStatus: what is wrong, for how long, and when all was well last.
func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		o := &output{}
		r := start(t, newSource(), o)
		check := func(want relay.Status) {
			t.Helper()
			if diff := cmp.Diff(want, r.relay.Status()); diff != "" {
				t.Errorf("the status is (-want +got):\n%s", diff)
			}
		}
		check(relay.Status{State: "ok"})
		r.source.add(events(1)...)
		r.after(time.Minute)
		check(relay.Status{State: "ok", LastSuccess: began})

		o.set(fails(errors.New(strings.Repeat("x", 100_000))))
		r.source.add(event(2, "a", "x"))
		r.after(4 * time.Second)
		got := r.relay.Status()
		if len(got.Error) > 1000 {
			t.Errorf("the error has %d bytes", len(got.Error))
		}
		got.Error = ""
		check2 := relay.Status{State: "retrying", Reason: "unavailable", Since: began.Add(time.Minute), Tries: 3, LastSuccess: began}
		if diff := cmp.Diff(check2, got); diff != "" {
			t.Errorf("the status is (-want +got):\n%s", diff)
		}

		o.set(fails(&outputs.NotReady{Err: errors.New("401")}))
		r.after(4 * time.Second)
		check(relay.Status{
			State: "paused", Reason: "not_ready", Error: "not ready: 401", Since: began.Add(time.Minute), Tries: 4, LastSuccess: began,
		})
		o.set(nil)
		r.after(time.Minute)
		check(relay.Status{State: "ok", LastSuccess: began.Add(time.Minute + 15*time.Second)})
		r.end()
	})
}

// TestStatusIsSafe for those who ask while the relay works.
func TestStatusIsSafe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		flaky := 0
		r := start(t, newSource(), &output{answer: func(context.Context, []outputs.Message) error {
			if flaky++; flaky%2 == 0 {
				return errDown
			}
			return nil
		}})
		var asking sync.WaitGroup
		for range 4 {
			asking.Go(func() {
				for range 1000 {
					if s := r.relay.Status(); s.State == "ok" && s.Error != "" {
						t.Errorf("the status is %+v", s)
					}
				}
			})
		}
		r.source.add(events(200)...)
		asking.Wait()
		r.after(time.Hour)
		r.wantCursor(201)
		r.end()
	})
}
