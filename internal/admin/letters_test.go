package admin_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/admin"
)

func TestSelections(t *testing.T) {
	at := time.Date(2026, 6, 19, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		s            admin.Selection
		list, action bool
	}{
		"nothing":        {admin.Selection{}, true, false},
		"all":            {admin.Selection{All: true}, false, true},
		"ids":            {admin.Selection{IDs: []int64{1, 2}}, false, true},
		"output":         {admin.Selection{Output: "a"}, true, true},
		"until":          {admin.Selection{Until: at}, true, true},
		"ids and filter": {admin.Selection{IDs: []int64{1}, Output: "a"}, false, false},
		"ids and all":    {admin.Selection{IDs: []int64{1}, All: true}, false, false},
		"all and filter": {admin.Selection{Reason: "poison", All: true}, false, false},
		"no time":        {admin.Selection{Since: at, Until: at}, false, false},
		"kind":           {admin.Selection{Kind: "Threat"}, false, false},
		"id 0":           {admin.Selection{IDs: []int64{0}}, false, false},
		"too many":       {admin.Selection{IDs: make([]int64, 1001)}, false, false},
	} {
		for what, got := range map[string]struct {
			err error
			ok  bool
		}{"list": {c.s.CheckList(), c.list}, "action": {c.s.CheckAction(), c.action}} {
			if (got.err == nil) != got.ok {
				t.Errorf("%s, %s: %v, want allowed: %v", name, what, got.err, got.ok)
			}
			if got.err != nil && admin.CodeOf(got.err) != admin.Invalid {
				t.Errorf("%s, %s: code %s, want invalid", name, what, admin.CodeOf(got.err))
			}
		}
	}
}

// FuzzBody: whatever the bytes, JSON carries them unchanged.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{"", "{}", "\xff", "\x00\u2028<&>", "\xed\xa0\x80", "\ufffd"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		text, err := json.Marshal(admin.NewBody(b))
		if err != nil {
			t.Fatal(err)
		}
		var back admin.Body
		if err := json.Unmarshal(text, &back); err != nil || !bytes.Equal(back.Bytes(), b) {
			t.Errorf("%q came back as %q through %s: %v", b, back.Bytes(), text, err)
		}
	})
}

// FuzzSelection: what is read from JSON is either refused or chooses something.
func FuzzSelection(f *testing.F) {
	for _, seed := range []string{`{"all":true}`, `{"ids":[1,2]}`, `{"output":"a","since":"2026-06-19T00:00:00Z"}`, `{"ids":[]}`, `{}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var s admin.Selection
		if json.Unmarshal(text, &s) != nil {
			return
		}
		chosen := 0
		for _, b := range []bool{len(s.IDs) > 0, s.Filters(), s.All} {
			if b {
				chosen++
			}
		}
		if s.CheckAction() == nil && chosen != 1 {
			t.Errorf("%s is allowed and chooses by %d ways, want one", text, chosen)
		}
		if s.CheckList() == nil && (len(s.IDs) > 0 || s.All) {
			t.Errorf("%s is allowed in a listing", text)
		}
	})
}
