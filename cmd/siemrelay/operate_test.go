package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/admin/admintest"
)

// answered is what a command did.
type answered struct {
	out, err string
	code     int
	calls    []string
}

// operateWith runs one command on a fake desk of a running process, with no
// terminal anywhere.
func operateWith(t *testing.T, fake *admintest.Fake, args ...string) answered {
	t.Helper()
	file := func(name string) *os.File {
		f, err := os.Create(filepath.Join(t.TempDir(), name))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	std := streams{strings.NewReader("yes\n"), file("out"), file("err")}
	open := func(context.Context, string) (*desk, error) {
		return &desk{Operations: fake, Explorer: fake, running: true, close: func() error { return nil }}, nil
	}
	root := &cobra.Command{SilenceErrors: true, SilenceUsage: true}
	root.SetFlagErrorFunc(usageError)
	root.AddCommand(operating(std, open)...)
	root.SetArgs(args)
	root.SetOut(std.out)
	err := root.ExecuteContext(t.Context())
	a := answered{calls: fake.Calls()}
	if err != nil {
		a.code, a.err = exitFailure, err.Error()
		var e *exitError
		if errors.As(err, &e) {
			a.code = e.code
		}
	}
	text, readErr := os.ReadFile(std.out.Name())
	if readErr != nil {
		t.Fatal(readErr)
	}
	a.out = string(text)
	return a
}

func TestCommandsSayWhatIsWantedOfTheDesk(t *testing.T) {
	since := time.Date(2026, 6, 19, 0, 0, 0, 0, time.UTC)
	until := time.Date(2026, 6, 20, 9, 30, 4, 0, time.UTC)
	filters := admin.Selection{Output: "kibana", Reason: "refused", Company: "acme", Kind: "threat", Since: since, Until: until}
	flags := strings.Fields("--output kibana --reason refused --company acme --kind threat --since 2026-06-19 --until 2026-06-20T09:30:04Z")
	for _, c := range []struct {
		args []string
		want func(o admin.Operations) error
	}{
		{[]string{"status"}, func(o admin.Operations) error { _, err := o.Status(t.Context()); return err }},
		{append([]string{"deadletters", "list", "--limit", "1"}, flags...), func(o admin.Operations) error {
			_, err := o.DeadLetters(t.Context(), admin.LetterQuery{Selection: filters, Page: admin.Page{Limit: 1}})
			return err
		}},
		{[]string{"deadletters", "show", "7"}, func(o admin.Operations) error { _, err := o.DeadLetter(t.Context(), 7); return err }},
		{append([]string{"deadletters", "replay", "--dry-run"}, flags...), func(o admin.Operations) error {
			_, err := o.ReplayDeadLetters(t.Context(), admin.LetterAction{Selection: filters, DryRun: true})
			return err
		}},
		{[]string{"deadletters", "replay", "7", "9"}, func(o admin.Operations) error {
			_, err := o.ReplayDeadLetters(t.Context(), admin.LetterAction{Selection: admin.Selection{IDs: []int64{7, 9}}})
			return err
		}},
		{[]string{"deadletters", "drop", "--all", "--yes"}, func(o admin.Operations) error {
			a := admin.LetterAction{Selection: admin.Selection{All: true}, DryRun: true}
			_, err := o.DropDeadLetters(t.Context(), a)
			a.DryRun = false
			_, err2 := o.DropDeadLetters(t.Context(), a)
			return errors.Join(err, err2)
		}},
		{[]string{"rejected", "list", "--limit", "1"}, func(o admin.Operations) error {
			_, err := o.Rejected(t.Context(), admin.Page{Limit: 1})
			return err
		}},
		{[]string{"rejected", "show", "3"}, func(o admin.Operations) error { _, err := o.RejectedBody(t.Context(), 3); return err }},
		{[]string{"rejected", "accept", "3", "4"}, func(o admin.Operations) error {
			_, err := o.AcceptRejected(t.Context(), admin.AcceptRequest{IDs: []int64{3, 4}})
			return err
		}},
		{[]string{"replay", "--output", "kibana", "--since", "2026-06-19", "--until", "2026-06-20T09:30:04Z"}, func(o admin.Operations) error {
			_, err := o.Replay(t.Context(), admin.ReplayRequest{Output: "kibana", Since: since, Until: until})
			return err
		}},
		{[]string{"replay", "--output", "kibana", "--cancel", "-y"}, func(o admin.Operations) error {
			_, err := o.CancelReplay(t.Context(), admin.OutputRequest{Output: "kibana", DryRun: true})
			_, err2 := o.CancelReplay(t.Context(), admin.OutputRequest{Output: "kibana"})
			return errors.Join(err, err2)
		}},
		{[]string{"outputs", "forget", "old", "--dry-run"}, func(o admin.Operations) error {
			_, err := o.Forget(t.Context(), admin.OutputRequest{Output: "old", DryRun: true})
			return err
		}},
	} {
		want := admintest.NewFake()
		if err := c.want(want); err != nil {
			t.Fatal(err)
		}
		for _, format := range []string{"text", "json"} {
			got := operateWith(t, admintest.NewFake(), append(c.args, "-o", format)...)
			if diff := cmp.Diff(want.Calls(), got.calls); format == "text" && diff != "" {
				t.Errorf("%q (-want +got):\n%s", c.args, diff)
			}
			if got.out == "" || format == "json" && !json.Valid([]byte(got.out)) {
				t.Errorf("%q -o %s printed %q", c.args, format, got.out)
			}
			if i := strings.IndexFunc(got.out, func(r rune) bool { return r < ' ' && r != '\n' || r == 0x2028 || r == 0x7f }); i >= 0 {
				t.Errorf("%q -o %s printed a control character at %d: %q", c.args, format, i, got.out)
			}
		}
	}
}

// What gives something up does nothing without an answer: there is no terminal here,
// and what stands on standard input is no answer.
func TestNothingIsGivenUpUnasked(t *testing.T) {
	for _, args := range [][]string{
		{"deadletters", "drop", "7"}, {"replay", "--output", "kibana", "--cancel"}, {"outputs", "forget", "old"},
		{"outputs", "forget", "old", "-o", "json"},
	} {
		got := operateWith(t, admintest.NewFake(), args...)
		if got.code != exitFailure || !strings.Contains(got.err, "--yes") || !strings.Contains(got.out, "would") && !strings.Contains(got.out, `"dry_run": true`) {
			t.Errorf("%q: exit %d, %q, printed %q; want 1, how to do it, and what", args, got.code, got.err, got.out)
		}
		if len(got.calls) != 1 || !strings.Contains(got.calls[0], "DryRun:true") {
			t.Errorf("%q: calls %q, want a dry run alone", args, got.calls)
		}
	}
}

func TestExitCodesOfOperations(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
		args []string
	}{
		{nil, exitOK, []string{"status"}},
		{errors.New("disk failed"), exitFailure, []string{"status"}},
		{admin.Errorf(admin.NotFound, "no"), exitFailure, []string{"deadletters", "show", "7"}},
		{admin.Errorf(admin.Conflict, "no"), exitFailure, []string{"replay", "--output", "a", "--since", "1h"}},
		{admin.Errorf(admin.Invalid, "no"), exitUsage, []string{"replay", "--output", "a", "--since", "1h"}},
		{admin.ErrNoAnswer, exitUnavailable, []string{"status"}},
		// The sample has one id that is no letter, and one that could not be accepted.
		{nil, exitFailure, []string{"deadletters", "replay", "7", "8"}},
		{nil, exitFailure, []string{"rejected", "accept", "3", "4"}},
		{nil, exitUsage, []string{"status", "extra"}},
		{nil, exitUsage, []string{"status", "-o", "yaml"}},
		{nil, exitUsage, []string{"deadletters", "show"}},
		{nil, exitUsage, []string{"deadletters", "show", "x"}},
		{nil, exitUsage, []string{"deadletters", "show", "0"}},
		{nil, exitUsage, []string{"deadletters", "list", "--limit", "-1"}},
		{nil, exitUsage, []string{"deadletters", "list", "--since", "yesterday"}},
		{nil, exitUsage, []string{"rejected", "accept"}},
		{nil, exitUsage, []string{"replay"}},
		{nil, exitUsage, []string{"replay", "--output", "a"}},
		{nil, exitUsage, []string{"replay", "--output", "a", "--cancel", "--since", "1h"}},
		{nil, exitUsage, []string{"replay", "--output", "a", "--since", "1h", "--wait", "--dry-run"}},
		{nil, exitUsage, []string{"outputs", "forget"}},
	} {
		fake := admintest.NewFake()
		fake.Err = c.err
		if got := operateWith(t, fake, c.args...); got.code != c.want {
			t.Errorf("%q with %v: exit %d (%s), want %d", c.args, c.err, got.code, got.err, c.want)
		}
	}
}

func TestRawBodiesAreBytes(t *testing.T) {
	if got := operateWith(t, admintest.NewFake(), "deadletters", "show", "7", "--raw"); got.out != "{\"a\":\"\xff\"}" {
		t.Errorf("%q, want the bytes", got.out)
	}
	if got := operateWith(t, admintest.NewFake(), "rejected", "show", "3", "--raw"); got.out != "{\"x" {
		t.Errorf("%q, want the bytes", got.out)
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain, ü 漢":        "plain, ü 漢",
		"\x1b]0;x\x07":      `\x1b]0;x\a`,
		"a\nb\tc":           `a\nb\tc`,
		"\xff\u009b":        `\xff\u009b`,
		"\u202eevil":        `\u202eevil`,
		"\ufffd \U000e0001": "\ufffd \\U000e0001",
	} {
		if got := printable(in); got != want {
			t.Errorf("printable(%q) is %q, want %q", in, got, want)
		}
	}
}

// FuzzPrintable: nothing that comes from outside makes a terminal do anything.
func FuzzPrintable(f *testing.F) {
	for _, seed := range []string{"", "\x1b[2J", "\u202e", "\xff", `{"a":"\u009b"}`, "{\"a\":\"\u009b\U000e0001\"}"} {
		f.Add(seed)
	}
	harmful := func(r rune) bool { return r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e }
	f.Fuzz(func(t *testing.T, s string) {
		if got := printable(s); strings.ContainsFunc(got, harmful) || strings.Contains(got, "\n") {
			t.Errorf("printable(%q) is %q", s, got)
		}
		if got := printableBody([]byte(s)); strings.ContainsFunc(got, harmful) {
			t.Errorf("printableBody(%q) is %q", s, got)
		}
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var before, after string
		safe := harmlessJSON(text)
		if json.Unmarshal(text, &before) != nil || json.Unmarshal(safe, &after) != nil || before != after || strings.ContainsFunc(string(safe), harmful) {
			t.Errorf("harmlessJSON(%q) is %q", text, safe)
		}
	})
}
