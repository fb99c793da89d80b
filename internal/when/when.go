// Package when reads points in time as people write them. It guarantees that what it
// takes can be kept in Unix nanoseconds, and refuses everything that could mean two
// things: what names no zone is in UTC.
package when

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Form says what Parse takes.
const Form = "RFC 3339, as 2026-06-19T09:30:04Z; a date, as 2026-06-19, which begins at 0:00 UTC; both, as 2026-06-19 09:30, which is UTC; how long ago, as 90m, 24h or 7d; or now"

// Parse reads a point in time, see Form.
func Parse(text string, now time.Time) (time.Time, error) {
	if text == "now" {
		return now, nil
	}
	for _, form := range []string{time.RFC3339, time.DateOnly, "2006-01-02 15:04", "2006-01-02T15:04", time.DateTime} {
		if t, err := time.Parse(form, text); err == nil && plausible(t) {
			return t.UTC(), nil
		}
	}
	if ago, ok := parseAgo(text); ok && plausible(now.Add(-ago)) {
		return now.Add(-ago), nil
	}
	return time.Time{}, fmt.Errorf("%q is not a time: write %s", text, Form)
}

// plausible keeps out what Unix nanoseconds can't hold.
func plausible(t time.Time) bool { return t.Year() >= 1970 && t.Year() < 2262 }

// parseAgo reads a duration that may begin with days of 24 hours: 7d, 1d12h, 90m.
func parseAgo(text string) (time.Duration, bool) {
	days, rest, found := strings.Cut(text, "d")
	if !found {
		days, rest = "0", text
	}
	n, err := strconv.ParseUint(days, 10, 32)
	if err != nil || n > uint64(math.MaxInt64/(24*time.Hour))/2 {
		return 0, false
	}
	whole := time.Duration(n) * 24 * time.Hour
	if found && rest == "" {
		return whole, true
	}
	part, err := time.ParseDuration(rest)
	if err != nil || part < 0 || strings.HasPrefix(rest, "-") || part > math.MaxInt64/2 {
		return 0, false
	}
	return whole + part, true
}
