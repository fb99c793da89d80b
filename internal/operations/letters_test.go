package operations_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/siemrelay/siemrelay/internal/admin"
)

// withLetters has dead letters 1 and 2 of alpha, 3 of beta and 4 of gone.
func withLetters(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	r.accept(3)
	r.relay("alpha", map[uint64]string{1: "refused", 3: "too_large"})
	r.relay("beta", map[uint64]string{2: "refused"})
	r.relay("gone", map[uint64]string{2: "poison"})
	return r
}

func ids(page admin.LetterPage) []int64 {
	var list []int64
	for _, l := range page.Letters {
		list = append(list, l.ID)
	}
	return list
}

func TestListingsOfLetters(t *testing.T) {
	r := withLetters(t)
	for name, c := range map[string]struct {
		q    admin.LetterQuery
		want []int64
		next int64
	}{
		"all":      {admin.LetterQuery{}, []int64{1, 2, 3, 4}, 0},
		"a page":   {admin.LetterQuery{Page: admin.Page{Limit: 2}}, []int64{1, 2}, 2},
		"the last": {admin.LetterQuery{Page: admin.Page{Limit: 2, After: 2}}, []int64{3, 4}, 0},
		"output":   {admin.LetterQuery{Selection: admin.Selection{Output: "alpha"}}, []int64{1, 2}, 0},
		"reason":   {admin.LetterQuery{Selection: admin.Selection{Reason: "refused"}}, []int64{1, 3}, 0},
		"company":  {admin.LetterQuery{Selection: admin.Selection{Company: "other"}}, nil, 0},
		"since":    {admin.LetterQuery{Selection: admin.Selection{Since: r.now}}, []int64{1, 2, 3, 4}, 0},
		"until":    {admin.LetterQuery{Selection: admin.Selection{Until: r.now}}, nil, 0},
	} {
		page, err := r.DeadLetters(t.Context(), c.q)
		r.must(err)
		if diff := cmp.Diff(c.want, ids(page)); diff != "" || page.Next != c.next {
			t.Errorf("%s: next %d, want %d; ids (-want +got):\n%s", name, page.Next, c.next, diff)
		}
		if total := len(c.want); c.q.Limit == 0 && page.Total != total || total == 0 != (page.Bytes == 0) {
			t.Errorf("%s: total %d of %d bytes, want %d", name, page.Total, page.Bytes, total)
		}
	}
	for _, q := range []admin.LetterQuery{
		{Selection: admin.Selection{All: true}}, {Page: admin.Page{Limit: -1}}, {Selection: admin.Selection{Kind: "x"}},
	} {
		_, err := r.DeadLetters(t.Context(), q)
		r.code(err, admin.Invalid)
	}
	_, err := r.DeadLetters(t.Context(), admin.LetterQuery{Selection: admin.Selection{Output: "nobody"}})
	r.code(err, admin.NotFound)
	if want := `there is no output "nobody"; there are: alpha, beta, gone`; err == nil || err.Error() != want {
		t.Errorf("an output that there is not: %v, want %s", err, want)
	}
}

func TestOneLetterWithWhatWouldBeSentNow(t *testing.T) {
	r := withLetters(t)
	l, err := r.DeadLetter(t.Context(), 3)
	r.must(err)
	if l.Output != "beta" || l.Error != "it said \uFFFD no" || l.Title != "T\x1b\uFFFD" || l.Tries != 2 || !strings.Contains(l.Body.Text, `"id":"1"`) {
		t.Errorf("letter %+v", l)
	}
	if l.Now == nil || l.Now.Format != "cef" || l.Now.Filtered || !strings.HasPrefix(l.Now.Record.Text, "CEF:0|") || !strings.Contains(l.Now.Record.Text, l.EventID) {
		t.Errorf("now %+v, want a CEF line of the event %s", l.Now, l.EventID)
	}
	// The tag of a possible retry is not in the body, and comes back all the same.
	if l, err = r.DeadLetter(t.Context(), 1); err != nil || !strings.Contains(l.Now.Record.Text, "defensecom_possible_retry") {
		t.Errorf("%v: an ECS document without the letter's tag: %+v", err, l.Now)
	}
	if l, err = r.DeadLetter(t.Context(), 4); err != nil || l.Now != nil {
		t.Errorf("of an output that is gone: %v, now %+v, want none", err, l.Now)
	}
	_, err = r.DeadLetter(t.Context(), 5)
	r.code(err, admin.NotFound)
}

func TestALetterThatWouldBeFilteredNow(t *testing.T) {
	r := newRig(t)
	_, err := r.append([]byte(`{"record_type":"Threat","id":"1","company_id":"filtered"}`))
	r.must(err)
	r.relay("alpha", map[uint64]string{1: "refused"})
	if l, err := r.DeadLetter(t.Context(), 1); err != nil || !l.Now.Filtered {
		t.Errorf("%v: now %+v, want filtered", err, l.Now)
	}
}

func TestReplayOfLetters(t *testing.T) {
	r := withLetters(t)
	before := r.status()
	act := func(a admin.LetterAction) (admin.LetterResult, error) {
		return r.ReplayDeadLetters(context.Background(), a)
	}
	dry, err := act(admin.LetterAction{Selection: admin.Selection{All: true}, DryRun: true})
	r.must(err)
	if dry.Letters != 3 || dry.Bytes == 0 || !dry.DryRun {
		t.Errorf("dry run of all: %+v, want the 3 of configured outputs", dry)
	}
	if diff := cmp.Diff(before, r.status()); diff != "" {
		t.Errorf("a dry run changed something:\n%s", diff)
	}
	got, err := act(admin.LetterAction{Selection: admin.Selection{IDs: []int64{1, 3, 3, 77}}})
	r.must(err)
	if diff := cmp.Diff(admin.LetterResult{Letters: 2, Bytes: got.Bytes, Missing: []int64{77}}, got); diff != "" {
		t.Errorf("by id (-want +got):\n%s", diff)
	}
	if a := r.of("alpha"); a.Dead != 1 || a.Queued != 1 || a.Pending != 1 {
		t.Errorf("alpha: %+v, want one dead, one queued", a.Ledger)
	}
	if l, err := r.DeadLetter(t.Context(), 1); err != nil || !l.Queued {
		t.Errorf("letter 1: %v, queued %v, want queued", err, l.Queued)
	}
	got, err = act(admin.LetterAction{Selection: admin.Selection{All: true}})
	r.must(err)
	if page, err := r.DeadLetters(t.Context(), admin.LetterQuery{}); err != nil || got.Letters != 1 || len(page.Letters) != 1 || page.Letters[0].Output != "gone" {
		t.Errorf("all: %+v; left %v %v, want that of gone only", got, ids(page), err)
	}
	for name, s := range map[string]admin.Selection{"by name": {Output: "gone"}, "by id": {IDs: []int64{4}}} {
		_, err := act(admin.LetterAction{Selection: s})
		t.Log(name)
		r.code(err, admin.Conflict)
	}
	_, err = act(admin.LetterAction{Selection: admin.Selection{Output: "nobody"}})
	r.code(err, admin.NotFound)
	_, err = act(admin.LetterAction{})
	r.code(err, admin.Invalid)
}

func TestDropOfLetters(t *testing.T) {
	r := withLetters(t)
	before := r.status()
	some := admin.Selection{Output: "alpha", Reason: "too_large", Since: r.now.Add(-time.Hour)}
	dry, err := r.DropDeadLetters(t.Context(), admin.LetterAction{Selection: some, DryRun: true})
	r.must(err)
	if diff := cmp.Diff(before, r.status()); diff != "" || dry.Letters != 1 {
		t.Errorf("dry run %+v changed something:\n%s", dry, diff)
	}
	if _, err := r.DropDeadLetters(t.Context(), admin.LetterAction{Selection: some}); err != nil || r.of("alpha").Dead != 1 || r.of("alpha").Dropped != 1 {
		t.Errorf("%v: alpha %+v, want one dropped", err, r.of("alpha").Ledger)
	}
	// Those of an output that is gone can be dropped, too.
	if got, err := r.DropDeadLetters(t.Context(), admin.LetterAction{Selection: admin.Selection{All: true}}); err != nil || got.Letters != 3 {
		t.Errorf("%v: %+v, want 3 dropped", err, got)
	}
	if got, err := r.DropDeadLetters(t.Context(), admin.LetterAction{Selection: admin.Selection{IDs: []int64{1}}}); err != nil || got.Letters != 0 || len(got.Missing) != 1 {
		t.Errorf("%v: %+v, want it missing", err, got)
	}
	_, err = r.DropDeadLetters(t.Context(), admin.LetterAction{})
	r.code(err, admin.Invalid)
}
