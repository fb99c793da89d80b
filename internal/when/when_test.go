package when_test

import (
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/when"
)

func TestParse(t *testing.T) {
	now := time.Date(2026, 6, 19, 9, 30, 4, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"now":                       now,
		"2026-06-19":                time.Date(2026, 6, 19, 0, 0, 0, 0, time.UTC),
		"2026-06-19T11:30:04+02:00": now,
		"2026-06-19T09:30:04.5Z":    now.Add(time.Second / 2),
		"2026-06-19 09:30":          now.Truncate(time.Minute),
		"2026-06-19T09:30":          now.Truncate(time.Minute),
		"2026-06-19 09:30:04":       now,
		"24h":                       now.Add(-24 * time.Hour),
		"90m":                       now.Add(-90 * time.Minute),
		"7d":                        now.AddDate(0, 0, -7),
		"1d12h":                     now.Add(-36 * time.Hour),
		"0s":                        now,
	} {
		if got, err := when.Parse(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q is %v %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "yesterday", "24", "-24h", "d", "-1d", "1d-1h", "1.5d", "1d2d", "99999999d", "9999-01-01", "1969-12-31",
		"2026-06-19 09:30 CEST", "2026-06-19 24:30", "2026-13-01", "Now", "200000h1d", "2000000h",
	} {
		if got, err := when.Parse(text, now); err == nil {
			t.Errorf("%q is %v, want an error", text, got)
		}
	}
}

// FuzzParse: what is taken for a time is one, and is not after now unless it
// is written out.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"now", "7d", "1d12h", "2026-06-19", "2026-06-19T09:30:04Z", "9223372036854775807ns", "106751d"} {
		f.Add(seed)
	}
	now := time.Date(2026, 6, 19, 9, 30, 4, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := when.Parse(text, now)
		if err != nil {
			return
		}
		if got.Year() < 1970 || got.Year() > 2261 {
			t.Errorf("%q is %v, which no event can have", text, got)
		}
		if back, err := when.Parse(got.Format(time.RFC3339Nano), now); err != nil || !back.Equal(got) {
			t.Errorf("%q is %v, which is read back as %v %v", text, got, back, err)
		}
		if len(text) < len("2026-06-19") && got.After(now) {
			t.Errorf("%q is in the future: %v", text, got)
		}
	})
}
