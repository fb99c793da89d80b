package deadletter_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/siemrelay/siemrelay/internal/deadletter"
)

func TestALetterComesBackAsItWasPut(t *testing.T) {
	s := open(t, options(t.TempDir()))
	want := letter("kibana", 3, 17)
	settled(t, s, want)

	listed, err := s.List(deadletter.Selection{}, 10, 0)
	if err != nil || len(listed) != 1 {
		t.Fatalf("listed %d letters, %v; want 1", len(listed), err)
	}
	got, err := s.Get(listed[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	want.ID, want.Size = listed[0].ID, len(want.Body)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("get (-want +got):\n%s", diff)
	}
	want.Body = nil
	if diff := cmp.Diff(want, listed[0]); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	if _, err := s.Get(want.ID + 1); !errors.Is(err, deadletter.ErrNotFound) {
		t.Errorf("get of a number that isn't there: %v", err)
	}
}
