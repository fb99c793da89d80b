package main

import (
	"fmt"
	"time"

	"github.com/siemrelay/siemrelay/internal/when"
)

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
	w.at, err = when.Parse(text, w.now())
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
