package console

import (
	"strconv"
	"strings"
	"time"

	"github.com/siemrelay/siemrelay/internal/admin"
)

// parseWhen reads a point in time as a person writes it in a form: RFC 3339, a date or
// a date and a time in UTC, how long ago (90m, 24h, 7d), or nothing, which is the zero
// time.
func parseWhen(name, text string, now time.Time) (time.Time, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return time.Time{}, nil
	}
	for _, form := range []string{time.RFC3339, time.DateOnly, "2006-01-02 15:04", "2006-01-02T15:04", time.DateTime} {
		if t, err := time.Parse(form, text); err == nil && t.Year() >= 1970 && t.Year() < 2262 {
			return t.UTC(), nil
		}
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil && n <= 36_500 {
			return now.AddDate(0, 0, -int(n)), nil
		}
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 && ago < 1_000_000*time.Hour {
		return now.Add(-ago), nil
	}
	return time.Time{}, admin.Errorf(admin.Invalid, "%s %q is not a time: write 24h or 7d for how long ago, 2026-06-19, or 2026-06-19 09:30, which is UTC", name, clean(text, maxName))
}
