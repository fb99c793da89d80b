package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

const whenForm = "RFC 3339, as 2026-06-19T09:30:04Z; a date, as 2026-06-19, which begins at 0:00 UTC; how long ago, as 90m, 24h or 7d; or now"

// parseWhen reads a point in time as a person writes it, see whenForm.
func parseWhen(text string, now time.Time) (time.Time, error) {
	if text == "now" {
		return now, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil && plausible(t) {
		return t.UTC(), nil
	}
	if t, err := time.Parse(time.DateOnly, text); err == nil && plausible(t) {
		return t, nil
	}
	if ago, ok := parseAgo(text); ok && plausible(now.Add(-ago)) {
		return now.Add(-ago), nil
	}
	return time.Time{}, fmt.Errorf("%q is not a time: write %s", text, whenForm)
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

// whenFlag is a flag that takes a time; it is zero until it is given.
type whenFlag struct {
	at  time.Time
	now func() time.Time
}

func (w *whenFlag) String() string {
	if w.at.IsZero() {
		return ""
	}
	return stamp(w.at)
}

func (w *whenFlag) Set(text string) (err error) {
	w.at, err = parseWhen(text, w.now())
	return err
}

func (w *whenFlag) Type() string { return "TIME" }

// stamp writes a time for a person and for another command: RFC 3339 in UTC.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

// age writes a duration in its two largest units: 45s, 12m, 3h12m, 5d4h.
func age(d time.Duration) string {
	d = max(d, 0).Round(time.Second)
	days, hours, minutes := int(d/(24*time.Hour)), int(d/time.Hour)%24, int(d/time.Minute)%60
	switch {
	case days > 0:
		return fmt.Sprintf("%dd%dh", days, hours)
	case hours > 0:
		return fmt.Sprintf("%dh%dm", hours, minutes)
	case minutes > 0:
		return fmt.Sprintf("%dm%ds", minutes, int(d/time.Second)%60)
	default:
		return fmt.Sprintf("%ds", int(d/time.Second))
	}
}
