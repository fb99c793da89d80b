package deadletter_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

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

// TestAnyBytesComeBack: bodies are any bytes, texts any text, also such as SQL or a C
// string would trip over, and survive a start.
func TestAnyBytesComeBack(t *testing.T) {
	o := options(scratch(t))
	s := open(t, o)
	sequence := uint64(0)
	rapid.Check(t, func(rt *rapid.T) {
		sequence++
		l := letter("kibana", 0, sequence)
		l.Body = rapid.OneOf(rapid.SliceOf(rapid.Byte()), rapid.Just([]byte("'); DROP TABLE letters; --\x00\xff"))).Draw(rt, "body")
		l.Title = rapid.OneOf(rapid.String(), rapid.Just("a\x00b'")).Draw(rt, "title")
		l.Company = rapid.OneOf(rapid.StringN(1, 20, 20), rapid.Just("%"), rapid.Just("' OR 1=1 --")).Draw(rt, "company")
		settled(t, s, l)
		queued, err := s.Requeue(deadletter.Selection{Company: l.Company})
		if err != nil || queued != 1 {
			rt.Fatalf("requeue by company %q: %d, %v; want 1", l.Company, queued, err)
		}
		got, ok, err := s.Queue("kibana").Next()
		if err != nil || !ok {
			rt.Fatalf("next: %v, %v", ok, err)
		}
		if !bytes.Equal(got.Body, l.Body) || got.Title != l.Title || got.Company != l.Company {
			rt.Fatalf("got %q %q %q, want %q %q %q", got.Body, got.Title, got.Company, l.Body, l.Title, l.Company)
		}
		if err := s.Queue("kibana").Commit(deadletter.Outcome{Delivered: 1}); err != nil {
			rt.Fatal(err)
		}
	})
}

func TestTextsAreCut(t *testing.T) {
	s := open(t, options(t.TempDir()))
	l := letter("kibana", 0, 1)
	l.Error = "x" + strings.Repeat("é", 4<<10)
	l.Title = strings.Repeat("t", 2<<10)
	l.Record = "bad \xff byte"
	settled(t, s, l)
	got, err := s.Get(1)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Error) != 4<<10-1 || !utf8.ValidString(got.Error) {
		t.Errorf("error has %d bytes, valid %v; want 4095 of whole runes", len(got.Error), utf8.ValidString(got.Error))
	}
	if len(got.Title) != 1<<10 {
		t.Errorf("title has %d bytes, want 1024", len(got.Title))
	}
	if got.Record != "bad \uFFFD byte" {
		t.Errorf("record is %q", got.Record)
	}
}

func TestReplacingKeepsTheNumber(t *testing.T) {
	s := open(t, options(t.TempDir()))
	if err := s.Put(letters("kibana", 1, 2)); err != nil {
		t.Fatal(err)
	}
	again := letter("kibana", 0, 1)
	again.Reason, again.Tries = "poison", 11
	settled(t, s, again)
	got, err := s.Get(1)
	if err != nil || got.Sequence != 1 || got.Reason != "poison" || got.Tries != 11 {
		t.Errorf("letter 1 is %+v, %v; want the replaced one", got, err)
	}
	if a := s.Accounts()["kibana"]; a.Dead != 2 {
		t.Errorf("%d are dead, want 2", a.Dead)
	}
}

func TestNumbersAreNeverReused(t *testing.T) {
	s := open(t, options(t.TempDir()))
	settled(t, s, letters("kibana", 1, 2)...)
	if _, err := s.Drop(deadletter.Selection{All: true}); err != nil {
		t.Fatal(err)
	}
	settled(t, s, letter("kibana", 0, 3))
	if _, err := s.Get(3); err != nil {
		t.Errorf("the third letter does not have number 3: %v", err)
	}
}

// TestFull: one batch may pass max_size, for it could be larger; the next is refused as a
// whole; what is unsettled counts, replacing counts the difference, and dropping makes
// room.
func TestFull(t *testing.T) {
	o := options(t.TempDir())
	o.MaxSize = 10_000
	reg := prometheus.NewRegistry()
	o.Registry = reg
	s := open(t, o)
	big := letter("kibana", 0, 1)
	big.Body = make([]byte, 6000)
	second := letter("kibana", 0, 2)
	second.Body = make([]byte, 6000)
	if err := s.Put([]deadletter.Letter{big, second}); err != nil {
		t.Fatalf("put of a batch that is larger than max_size: %v", err)
	}
	small, next := letter("kibana", 0, 3), letter("kibana", 0, 4)
	err := s.Put([]deadletter.Letter{small, next})
	if !errors.Is(err, deadletter.ErrFull) || !strings.Contains(err.Error(), "max_size is 10000") {
		t.Fatalf("put over max_size: %v", err)
	}
	s.Settle("kibana", 0)
	if got := sequences(t, s, deadletter.Selection{}); !cmp.Equal(got, []uint64{1, 2}) {
		t.Fatalf("letters %v are there after a refused put, want 1 and 2 alone", got)
	}
	big.Body = make([]byte, 5000)
	if err := s.Put([]deadletter.Letter{big}); err != nil {
		t.Fatalf("replace by a smaller one: %v", err)
	}
	s.Settle("kibana", 0)
	used, limit := s.Full()
	if used < 11_000 || used > 12_500 || limit != 10_000 {
		t.Errorf("%d of %d bytes are used", used, limit)
	}
	if got := metric(t, reg, "siemrelay_dead_letters_max_bytes"); got != 10_000 {
		t.Errorf("the metric says at most %v bytes", got)
	}
	if got := metric(t, reg, "siemrelay_dead_letters_bytes"); got != float64(used) {
		t.Errorf("the metric says %v bytes, want %d", got, used)
	}
	if _, err := s.Drop(deadletter.Selection{Output: "kibana"}); err != nil {
		t.Fatal(err)
	}
	if used, _ := s.Full(); used != 0 {
		t.Errorf("%d bytes are used by no letters", used)
	}
	if err := s.Put([]deadletter.Letter{small, next}); err != nil {
		t.Errorf("put where there is room again: %v", err)
	}
}

// TestFullNeverHoldsUpTheQueue: a letter that comes back is stored even where its
// longer error would not fit.
func TestFullNeverHoldsUpTheQueue(t *testing.T) {
	o := options(t.TempDir())
	s := open(t, o)
	settled(t, s, letter("kibana", 0, 1))
	used, _ := s.Full()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	o.MaxSize = used - 1 // it was lowered
	s = open(t, o)
	if _, err := s.Requeue(deadletter.Selection{All: true}); err != nil {
		t.Fatal(err)
	}
	l, ok, err := s.Queue("kibana").Next()
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	l.Error = strings.Repeat("e", 1000)
	if err := s.Put([]deadletter.Letter{l}); err != nil {
		t.Errorf("put back: %v", err)
	}
}

func TestSelections(t *testing.T) {
	s := open(t, options(t.TempDir()))
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	vary := func(output string, sequence uint64, set func(*deadletter.Letter)) {
		l := letter(output, 0, sequence)
		l.Refused = at.Add(time.Duration(sequence) * time.Hour)
		set(&l)
		settled(t, s, l)
	}
	vary("kibana", 1, func(l *deadletter.Letter) { l.Reason = "poison" })
	vary("kibana", 2, func(l *deadletter.Letter) { l.Kind = "ticket" })
	vary("arcsight", 3, func(l *deadletter.Letter) { l.Company = "7" })
	vary("arcsight", 4, func(*deadletter.Letter) {})
	for _, c := range []struct {
		name string
		sel  deadletter.Selection
		want []uint64
	}{
		{"nothing set", deadletter.Selection{}, []uint64{1, 2, 3, 4}},
		{"all", deadletter.Selection{All: true}, []uint64{1, 2, 3, 4}},
		{"output", deadletter.Selection{Output: "kibana"}, []uint64{1, 2}},
		{"numbers", deadletter.Selection{IDs: []int64{4, 1, 99}}, []uint64{1, 4}},
		{"no numbers", deadletter.Selection{IDs: []int64{}, All: true}, []uint64{}},
		{"reason", deadletter.Selection{Reason: "poison"}, []uint64{1}},
		{"kind", deadletter.Selection{Kind: "ticket"}, []uint64{2}},
		{"company", deadletter.Selection{Company: "7"}, []uint64{3}},
		{"since", deadletter.Selection{Since: at.Add(3 * time.Hour)}, []uint64{3, 4}},
		{"before", deadletter.Selection{Before: at.Add(3 * time.Hour)}, []uint64{1, 2}},
		{"two conditions", deadletter.Selection{Output: "arcsight", Before: at.Add(4 * time.Hour)}, []uint64{3}},
		{"all of one output", deadletter.Selection{Output: "arcsight", All: true}, []uint64{3, 4}},
		{"queued", deadletter.Selection{Queued: true}, []uint64{}},
	} {
		if diff := cmp.Diff(c.want, sequences(t, s, c.sel)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		if n, _, err := s.Count(c.sel); err != nil || n != len(c.want) {
			t.Errorf("%s: counted %d, %v; want %d", c.name, n, err, len(c.want))
		}
	}
	page, err := s.List(deadletter.Selection{}, 2, 1)
	if err != nil || len(page) != 2 || page[0].ID != 2 {
		t.Errorf("the page after letter 1 is %+v, %v", page, err)
	}
	for name, do := range map[string]func(deadletter.Selection) (int, error){"requeue": s.Requeue, "drop": s.Drop} {
		if _, err := do(deadletter.Selection{}); !errors.Is(err, deadletter.ErrNothingSelected) {
			t.Errorf("%s of an empty selection: %v", name, err)
		}
		if n, err := do(deadletter.Selection{IDs: []int64{}}); n != 0 || err != nil {
			t.Errorf("%s of no numbers: %d, %v", name, n, err)
		}
	}
	if n, err := s.Drop(deadletter.Selection{Reason: "poison"}); n != 1 || err != nil {
		t.Errorf("dropped %d, %v; want 1", n, err)
	}
	if diff := cmp.Diff([]uint64{2, 3, 4}, sequences(t, s, deadletter.Selection{})); diff != "" {
		t.Errorf("after the drop (-want +got):\n%s", diff)
	}
}

// TestQueuedLettersCanNotBeDropped: the relay may have them in hand.
func TestQueuedLettersCanNotBeDropped(t *testing.T) {
	s := open(t, options(t.TempDir()))
	settled(t, s, letters("kibana", 1, 2)...)
	if n, err := s.Requeue(deadletter.Selection{IDs: []int64{1}}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := s.Drop(deadletter.Selection{All: true}); n != 1 || err != nil {
		t.Errorf("dropped %d, %v; want the one that is not queued", n, err)
	}
	if diff := cmp.Diff([]uint64{1}, sequences(t, s, deadletter.Selection{Queued: true})); diff != "" {
		t.Errorf("queued (-want +got):\n%s", diff)
	}
	if l, err := s.Get(1); err != nil || !l.Queued {
		t.Errorf("queued letter: %+v, %v", l, err)
	}
}

func TestForget(t *testing.T) {
	o := options(t.TempDir())
	s := open(t, o)
	settled(t, s, append(letters("gone", 1, 2), letters("kibana", 3)...)...)
	if _, err := s.Requeue(deadletter.Selection{IDs: []int64{1}}); err != nil {
		t.Fatal(err)
	}
	kept, _, err := s.Count(deadletter.Selection{Output: "kibana"})
	if err != nil || kept != 1 {
		t.Fatal(kept, err)
	}
	if err := s.Forget("gone"); err != nil {
		t.Fatal(err)
	}
	if err := s.Forget("never there"); err != nil {
		t.Error(err)
	}
	check := func() {
		t.Helper()
		if diff := cmp.Diff(map[string]deadletter.Account{"kibana": {Dead: 1}}, s.Accounts()); diff != "" {
			t.Errorf("accounts (-want +got):\n%s", diff)
		}
		_, bytes, err := s.Count(deadletter.Selection{})
		if used, _ := s.Full(); err != nil || used != bytes {
			t.Errorf("%d bytes are used, the letters take %d, %v", used, bytes, err)
		}
	}
	check()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, o)
	check()
}

func TestAfterClose(t *testing.T) {
	s := open(t, options(t.TempDir()))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(letters("kibana", 1)); !errors.Is(err, deadletter.ErrClosed) {
		t.Errorf("put: %v", err)
	}
	if _, err := s.List(deadletter.Selection{}, 1, 0); !errors.Is(err, deadletter.ErrClosed) {
		t.Errorf("list: %v", err)
	}
}

func TestALetterNeedsAnOutput(t *testing.T) {
	s := open(t, options(t.TempDir()))
	if err := s.Put(letters("", 1)); err == nil {
		t.Error("a letter without an output was stored")
	}
}

// TestSettleIsForOnePass: one output's lanes commit one after the other.
func TestSettleIsForOnePass(t *testing.T) {
	s := open(t, options(t.TempDir()))
	if err := s.Put([]deadletter.Letter{letter("kibana", 0, 7), letter("kibana", 3, 2)}); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ pass, want int }{{1, 0}, {3, 1}, {0, 2}} {
		s.Settle("kibana", uint64(step.pass))
		if n, _, err := s.Count(deadletter.Selection{}); n != step.want || err != nil {
			t.Errorf("after pass %d was settled %d letters count, %v; want %d", step.pass, n, err, step.want)
		}
	}
}
