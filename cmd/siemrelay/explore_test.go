package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/admin/admintest"
)

// What the commands that look at events ask for; and whatever is in the answer, a
// terminal does nothing of it.
func TestCommandsThatLook(t *testing.T) {
	id := "0123456789abcdef0123456789abcdef"
	for _, c := range []struct {
		args []string
		want func(f *admintest.Fake)
	}{
		{[]string{"search", "risk:high", "a b", "--limit", "1"}, func(f *admintest.Fake) {
			f.Events(t.Context(), admin.EventQuery{Text: "risk:high a b", Limit: 1})
		}},
		{[]string{"search", "--records", "x", "--sort", "severity", "--limit", "1"}, func(f *admintest.Fake) {
			f.Records(t.Context(), admin.RecordQuery{Text: "x", Sort: "severity", Limit: 1})
		}},
		{[]string{"show", id}, func(f *admintest.Fake) { f.Event(t.Context(), id) }},
	} {
		fake := admintest.NewFake()
		c.want(fake)
		want := fake.Calls()
		for _, format := range []string{"text", "json"} {
			got := operateWith(t, admintest.NewFake(), append(c.args, "-o", format)...)
			if diff := cmp.Diff(want, got.calls); diff != "" || got.code != 0 {
				t.Errorf("%q: %d %s (-want +got):\n%s", c.args, got.code, got.err, diff)
			}
			if got.out == "" || format == "json" && !json.Valid([]byte(got.out)) {
				t.Errorf("%q -o %s printed %q", c.args, format, got.out)
			}
			if i := strings.IndexFunc(got.out, func(r rune) bool { return r < ' ' && r != '\n' || r == 0x202e || r == 0x7f }); i >= 0 {
				t.Errorf("%q -o %s printed a control character at %d: %q", c.args, format, i, got.out)
			}
		}
	}
	for flag, want := range map[string]string{"--raw": "{\"a\":\"\xff\"}", "--ecs": `{"ecs":{"version":"9.4.0"}}` + "\n", "--cef": "CEF:0|x\n"} {
		if got := operateWith(t, admintest.NewFake(), "show", id, flag); got.out != want {
			t.Errorf("show %s printed %q, want %q", flag, got.out, want)
		}
	}
}

func TestExitCodesOfLooking(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
		args []string
	}{
		{admin.Errorf(admin.Invalid, "no"), exitUsage, []string{"search", "risc:high"}},
		{admin.Errorf(admin.NotFound, "no"), exitFailure, []string{"show", "x"}},
		{admin.Errorf(admin.Unavailable, "no"), exitFailure, []string{"search"}},
		{admin.ErrNoAnswer, exitUnavailable, []string{"search"}},
		{admin.ErrNoAnswer, exitUnavailable, []string{"tail"}},
		{nil, exitUsage, []string{"search", "--limit", "-1"}},
		{nil, exitUsage, []string{"search", "--sort", "severity"}},
		{nil, exitUsage, []string{"show"}},
		{nil, exitUsage, []string{"show", "a", "b"}},
		{nil, exitFailure, []string{"show", `a"b`}},
		{nil, exitUsage, []string{"tail", "-n", "-1"}},
	} {
		fake := admintest.NewFake()
		fake.Err = c.err
		if c.args[0] == "show" && c.err == nil {
			fake.Err = admin.Errorf(admin.NotFound, "no")
		}
		if got := operateWith(t, fake, c.args...); got.code != c.want {
			t.Errorf("%q with %v: exit %d (%s), want %d", c.args, c.err, got.code, got.err, c.want)
		}
	}
}
