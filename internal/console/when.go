package console

import (
	"strings"
	"time"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/when"
)

// parseWhen reads a point in time from the field called name of a form, see when.Form;
// an empty one is the zero time.
func parseWhen(name, text string, now time.Time) (time.Time, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return time.Time{}, nil
	}
	t, err := when.Parse(text, now)
	if err != nil {
		return time.Time{}, admin.Errorf(admin.Invalid, "%s %q is not a time: write 24h or 7d for how long ago, 2026-06-19, or 2026-06-19 09:30, which is UTC", name, clean(text, maxName))
	}
	return t, nil
}
