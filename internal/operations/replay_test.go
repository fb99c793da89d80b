package operations_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/spool"
)

func TestReplay(t *testing.T) {
	r := newRig(t)
	start := r.now
	minute := func(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }
	r.accept(5) // at minutes 1 to 5
	r.relay("alpha", nil)
	r.relay("gone", nil)
	r.accept(2) // which alpha has not come to
	before := r.status()
	for name, c := range map[string]struct {
		since, until time.Time
		want         uint64
		first        time.Time
	}{
		"all":                    {time.Unix(0, 0), time.Time{}, 5, minute(1)},
		"before there was Unix":  {time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC), time.Time{}, 5, minute(1)},
		"a part":                 {minute(2), minute(4), 2, minute(2)},
		"between two":            {minute(2).Add(1), minute(3), 0, time.Time{}},
		"until the far future":   {minute(4), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), 2, minute(4)},
		"what is still to come":  {minute(6), minute(7), 0, time.Time{}},
		"nothing of that time":   {minute(100), time.Time{}, 0, time.Time{}},
		"the last of a long day": {minute(5), minute(1000), 1, minute(5)},
	} {
		got, err := r.Replay(t.Context(), admin.ReplayRequest{Output: "alpha", Since: c.since, Until: c.until, DryRun: true})
		r.must(err)
		if want := (admin.ReplayResult{Output: "alpha", Entries: c.want, First: c.first, DryRun: true}); !cmp.Equal(got, want) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	if diff := cmp.Diff(before, r.status()); diff != "" {
		t.Errorf("a dry run changed something:\n%s", diff)
	}
	got, err := r.Replay(t.Context(), admin.ReplayRequest{Output: "alpha", Since: minute(2), Until: minute(4)})
	if err != nil || got.Entries != 2 || got.DryRun {
		t.Errorf("%v: %+v, want 2 entries", err, got)
	}
	if a := r.of("alpha"); a.Replaying != 2 || a.Pending != 4 || a.Entered != 9 || !a.OldestPending.Equal(minute(6)) {
		t.Errorf("alpha %+v, want 2 replaying, and the lag of the log", a)
	}
	_, err = r.Replay(t.Context(), admin.ReplayRequest{Output: "alpha", Since: minute(1), Overwrite: true})
	r.code(err, admin.Conflict)
	if _, _, err := r.cursors["alpha"].Replay().Next(); err != nil || r.cursors["alpha"].Replay().Overwrite() {
		t.Errorf("the replay overwrites (%v), which nobody asked for", err)
	}
	r.must(r.cursors["alpha"].Replay().Commit(r.cursors["alpha"].Position().ReplayNext+1, spool.Outcome{Delivered: 1}))
	_, err = r.CancelReplay(t.Context(), admin.OutputRequest{Output: "alpha"})
	r.must(err)
	_, err = r.Replay(t.Context(), admin.ReplayRequest{Output: "alpha", Since: minute(1), Overwrite: true})
	r.must(err)
	if _, ok, err := r.cursors["alpha"].Replay().Next(); !ok || err != nil || !r.cursors["alpha"].Replay().Overwrite() {
		t.Errorf("the replay does not overwrite (%v), as was asked for", err)
	}
	for want, q := range map[admin.Code][]admin.ReplayRequest{
		admin.NotFound: {{Output: "nobody", Since: minute(1)}},
		admin.Conflict: {{Output: "gone", Since: minute(1)}},
		admin.Invalid:  {{Since: minute(1)}, {Output: "beta"}, {Output: "beta", Since: minute(1), Overwrite: true}, {Output: "beta", Since: minute(2), Until: minute(2)}},
	} {
		for _, request := range q {
			_, err := r.Replay(t.Context(), request)
			r.code(err, want)
		}
	}
}

func TestCancelReplay(t *testing.T) {
	r := newRig(t)
	since := r.now
	r.accept(5)
	r.relay("alpha", nil)
	if got, err := r.CancelReplay(t.Context(), admin.OutputRequest{Output: "alpha"}); err != nil || got.Dropped != 0 {
		t.Errorf("nothing to cancel: %v %+v, want 0 dropped", err, got)
	}
	_, err := r.Replay(t.Context(), admin.ReplayRequest{Output: "alpha", Since: since})
	r.must(err)
	before := r.status()
	if got, err := r.CancelReplay(t.Context(), admin.OutputRequest{Output: "alpha", DryRun: true}); err != nil || got.Dropped != 5 {
		t.Errorf("dry run: %v %+v, want 5", err, got)
	}
	if diff := cmp.Diff(before, r.status()); diff != "" {
		t.Errorf("a dry run changed something:\n%s", diff)
	}
	if got, err := r.CancelReplay(t.Context(), admin.OutputRequest{Output: "alpha"}); err != nil || got.Dropped != 5 {
		t.Errorf("%v %+v, want 5 dropped", err, got)
	}
	if a := r.of("alpha"); a.Dropped != 5 || a.Replaying != 0 || a.Pending != 0 {
		t.Errorf("alpha %+v, want 5 dropped", a)
	}
	_, err = r.CancelReplay(t.Context(), admin.OutputRequest{Output: "nobody"})
	r.code(err, admin.NotFound)
}
