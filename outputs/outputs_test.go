package outputs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/outputs"
)

func TestRetryAfter(t *testing.T) {
	wait := func(d time.Duration, err error) error { return &outputs.Wait{Err: err, After: d} }
	busy := errors.New("busy")
	partial := &outputs.Partial{Results: []outputs.Result{
		{},
		{Status: outputs.Retry, Err: fmt.Errorf("item 1: %w", wait(3*time.Second, busy))},
		{Status: outputs.Retry, Err: wait(2*time.Second, busy)},
		{Status: outputs.Refused, Err: busy},
	}}
	for name, c := range map[string]struct {
		err  error
		want time.Duration
	}{
		"nil":                          {nil, 0},
		"no wait":                      {busy, 0},
		"wrapped":                      {fmt.Errorf("send: %w", wait(time.Second, busy)), time.Second},
		"inside not ready":             {&outputs.NotReady{Err: wait(time.Second, busy)}, time.Second},
		"longest of a partial":         {partial, 3 * time.Second},
		"around a partial, longer":     {wait(5*time.Second, partial), 5 * time.Second},
		"around a partial, shorter":    {wait(time.Second, partial), 3 * time.Second},
		"a partial behind other words": {fmt.Errorf("send: %w", partial), 3 * time.Second},
	} {
		if got := outputs.RetryAfter(c.err); got != c.want {
			t.Errorf("%s: RetryAfter = %v, want %v", name, got, c.want)
		}
	}
}

func TestIsTransient(t *testing.T) {
	odd := errors.New("strange document")
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"nil":                {nil, true},
		"says nothing of it": {odd, false},
		"transient":          {fmt.Errorf("item 3: %w", &outputs.Transient{Err: odd}), true},
		"asks for a wait":    {fmt.Errorf("item 3: %w", &outputs.Wait{Err: odd, After: time.Second}), true},
		"not ready":          {&outputs.NotReady{Err: odd}, true},
		"cancelled":          {fmt.Errorf("send: %w", context.Canceled), true},
		"out of time":        {fmt.Errorf("send: %w", context.DeadlineExceeded), true},
		"socket out of time": {fmt.Errorf("send: %w", os.ErrDeadlineExceeded), true},
		"too large":          {outputs.ErrTooLarge, false},
		"no space":           {&os.PathError{Op: "write", Path: "x", Err: errors.New("no space")}, false},
	} {
		if got := outputs.IsTransient(c.err); got != c.want {
			t.Errorf("%s: IsTransient = %v, want %v", name, got, c.want)
		}
	}
	transient := &outputs.Transient{Err: odd}
	if transient.Error() != odd.Error() || !errors.Is(transient, odd) {
		t.Error("Transient hides its cause")
	}
}

func TestErrorsSayWhatBecameOfTheBatch(t *testing.T) {
	partial := &outputs.Partial{Results: []outputs.Result{
		{}, {}, {Status: outputs.Retry, Err: errors.New("busy")}, {Status: outputs.Refused, Err: errors.New("bad")}, {Status: 9},
	}}
	if got, want := partial.Error(), "2 done, 1 to retry, 1 refused: busy"; got != want {
		t.Errorf("Partial.Error() = %q, want %q", got, want)
	}
	cause := errors.New("login refused")
	notReady := &outputs.NotReady{Err: cause}
	if got, want := notReady.Error(), "not ready: login refused"; got != want {
		t.Errorf("NotReady.Error() = %q, want %q", got, want)
	}
	if !errors.Is(notReady, cause) {
		t.Error("NotReady hides its cause")
	}
}
