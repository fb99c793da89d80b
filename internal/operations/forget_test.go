package operations_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/siemrelay/siemrelay/internal/admin"
)

func TestForget(t *testing.T) {
	r := withLetters(t)
	r.accept(2)
	before := r.status()
	dry, err := r.Forget(t.Context(), admin.OutputRequest{Output: "gone", DryRun: true})
	r.must(err)
	if want := (admin.ForgetResult{Output: "gone", Pending: 2, Dead: 1, DryRun: true}); dry != want {
		t.Errorf("dry run %+v, want %+v", dry, want)
	}
	if diff := cmp.Diff(before, r.status()); diff != "" {
		t.Errorf("a dry run changed something:\n%s", diff)
	}
	if got, err := r.Forget(t.Context(), admin.OutputRequest{Output: "gone"}); err != nil || got.Pending != 2 || got.Dead != 1 {
		t.Errorf("%v %+v, want what the dry run said", err, got)
	}
	after := r.status()
	if diff := cmp.Diff(before.Outputs[:2], after.Outputs); diff != "" {
		t.Errorf("the other outputs (-before +after):\n%s", diff)
	}
	if _, err := r.DeadLetter(t.Context(), 4); err == nil {
		t.Error("its dead letter is still there")
	}
	_, err = r.Forget(t.Context(), admin.OutputRequest{Output: "gone"})
	r.code(err, admin.NotFound)
	_, err = r.Forget(t.Context(), admin.OutputRequest{Output: "alpha"})
	r.code(err, admin.Conflict)
	if diff := cmp.Diff(after, r.status()); diff != "" {
		t.Errorf("a refusal changed something:\n%s", diff)
	}
}

// Letters of an output whose cursor is gone can be forgotten, too.
func TestForgetLettersAlone(t *testing.T) {
	r := withLetters(t)
	r.must(r.spool.Forget("gone"))
	if got, err := r.Forget(t.Context(), admin.OutputRequest{Output: "gone"}); err != nil || got.Dead != 1 || got.Pending != 0 {
		t.Errorf("%v %+v, want its one letter", err, got)
	}
	if s := r.status(); len(s.Outputs) != 2 {
		t.Errorf("outputs %+v, want alpha and beta", s.Outputs)
	}
}
