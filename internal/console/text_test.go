package console

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/siemrelay/siemrelay/internal/admin"
)

func TestCleanShowsWhatHasNoPicture(t *testing.T) {
	for in, want := range map[string]string{
		"plain Ünïcode 日本 🚨 👩\u200d💻":   "plain Ünïcode 日本 🚨 👩\u200d💻",
		"a\x00b\x1b[31mc\x7fd\n\t":      "a␀b␛[31mc␡d␊␉",
		"\u202eevil\u2066x\u200f\ufeff": "[U+202E]evil[U+2066]x[U+200F][U+FEFF]",
		"a\u2028b\u0085c":               "a[U+2028]b[U+0085]c",
		"bad \xff byte":                 "bad \ufffd byte",
		strings.Repeat("é", 50):         strings.Repeat("é", 30) + "…",
	} {
		if got := clean(in, 30); got != want {
			t.Errorf("clean(%q) is %q, not %q", in, got, want)
		}
	}
	if got := cleanBlock("a\r\nb\tc\rd", 99); got != "a\nb\tc␍d" {
		t.Errorf("lines became %q", got)
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a\u202eb\x00\xff", 3)
	f.Add(strings.Repeat("\u0301", 40), 10)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = max(0, min(limit, 1000))
		for _, lines := range []bool{false, true} {
			got := cleanText(s, limit, lines)
			if !utf8.ValidString(got) {
				t.Fatalf("%q is no UTF-8", got)
			}
			if n := utf8.RuneCountInString(got); n > 9*limit+1 {
				t.Fatalf("%d characters of at most %d", n, limit)
			}
			for _, r := range got {
				switch {
				case lines && (r == '\n' || r == '\t'), r == '\u200c', r == '\u200d':
				case unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
					t.Fatalf("%q has %U", got, r)
				}
			}
		}
	})
}

func FuzzViewBody(f *testing.F) {
	f.Add([]byte(`{"a":[1,{"b":"\u202e"}]}`))
	f.Add([]byte("{\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		v := viewBody(admin.NewBody(b), "/x")
		if v.Size != len(b) || !utf8.ValidString(v.Text) || utf8.RuneCountInString(v.Text) > 9*maxShown+1 {
			t.Fatalf("%d bytes became %d, of %d characters", len(b), v.Size, len(v.Text))
		}
	})
}

func TestBodiesAreCut(t *testing.T) {
	v := viewBody(admin.NewBody([]byte(strings.Repeat("x", 10<<20))), "/x")
	if !v.Cut || len(v.Text) != maxShown || v.Size != 10<<20 {
		t.Errorf("10 MiB are shown as %d characters of %d, cut: %v", len(v.Text), v.Size, v.Cut)
	}
	v = viewBody(admin.NewBody([]byte(`{"a":1,"a":{"b":[]}}`)), "/x")
	if want := "{\n  \"a\": 1,\n  \"a\": {\n    \"b\": []\n  }\n}"; v.Text != want || !v.Indented || v.Cut {
		t.Errorf("one line became %q", v.Text)
	}
}

func TestWhenIsRead(t *testing.T) {
	now := time.Date(2026, 6, 19, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Time{
		"": {}, " 24h ": now.Add(-24 * time.Hour), "7d": now.AddDate(0, 0, -7), "90m": now.Add(-90 * time.Minute),
		"2026-06-18": time.Date(2026, 6, 18, 0, 0, 0, 0, time.UTC), "2026-06-18 09:30": time.Date(2026, 6, 18, 9, 30, 0, 0, time.UTC),
		"2026-06-18T11:30:00+02:00": time.Date(2026, 6, 18, 9, 30, 0, 0, time.UTC),
	} {
		if got, err := parseWhen("since", in, now); err != nil || !got.Equal(want) {
			t.Errorf("%q is %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"x", "-1h", "24", "9999999d", "1800-01-01", "2026-13-01", "99999999999999999999h", "d"} {
		if got, err := parseWhen("since", in, now); err == nil {
			t.Errorf("%q is %v", in, got)
		}
	}
}

func TestNumbersForPeople(t *testing.T) {
	for got, want := range map[string]string{
		grouped(0): "0", grouped(999): "999", grouped(1234567): "1\u202f234\u202f567", grouped(-1000): "-1\u202f000",
		byteSize(1023): "1023 B", byteSize(1536): "1.5 KiB", byteSize(int64(1) << 60): "1024.0 PiB",
		span(0): "under 1 s", span(59 * time.Second): "59 s", span(90 * time.Minute): "1 h 30 min", span(72 * time.Hour): "3 days",
		plural(1, "event", "events"): "1 event", plural(2, "event", "events"): "2 events",
	} {
		if got != want {
			t.Errorf("%q is not %q", got, want)
		}
	}
}

// What a status says anew is a new digest, and time alone is none.
func TestDigest(t *testing.T) {
	at := time.Date(2026, 6, 19, 12, 0, 0, 0, time.UTC)
	s := admin.Status{Ready: true, Receiver: &admin.ReceiverStats{Accepted: 1}, Outputs: []admin.OutputStatus{{Name: "a", State: admin.StateOK}}}
	before := digest(s)
	s.Outputs[0].LagSeconds, s.Outputs[0].LastSuccess, s.Spool.Bytes, s.Problems = 3, at, 9, []string{"for 3 minutes"}
	if digest(s) != before {
		t.Error("time alone makes another digest")
	}
	for name, change := range map[string]func(*admin.Status){
		"ready": func(s *admin.Status) { s.Ready = false }, "accepted": func(s *admin.Status) { s.Receiver = &admin.ReceiverStats{Accepted: 2} },
		"state": func(s *admin.Status) { s.Outputs[0].State = admin.StatePaused }, "pending": func(s *admin.Status) { s.Outputs[0].Pending = 1 }, "rejected": func(s *admin.Status) { s.Rejected = 1 },
	} {
		changed := s
		changed.Outputs = []admin.OutputStatus{s.Outputs[0]}
		change(&changed)
		if digest(changed) == before {
			t.Errorf("another %s is the same digest", name)
		}
	}
}
