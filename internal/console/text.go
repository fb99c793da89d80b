package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/siemrelay/siemrelay/internal/admin"
)

// How many characters of a foreign text are shown.
const (
	maxTitle = 240     // in a table
	maxLine  = 2_000   // a title in the drawer, an error
	maxText  = 16_000  // a description, a note
	maxShown = 64_000  // a body
	maxName  = 80      // a company, a label
	maxRaw   = 1 << 20 // bytes of a body that is laid out anew for reading
)

// clean makes a foreign text fit for one line: at most limit characters, and what has
// no picture of its own, or would turn what stands around it, is shown as a symbol.
func clean(s string, limit int) string { return cleanText(s, limit, false) }

// cleanBlock does the same and keeps the lines.
func cleanBlock(s string, limit int) string { return cleanText(s, limit, true) }

func cleanText(s string, limit int, lines bool) string {
	var b strings.Builder
	n := 0
	for i, r := range s {
		if n == limit {
			b.WriteString("…")
			break
		}
		n++
		switch {
		case lines && (r == '\n' || r == '\t'):
			b.WriteRune(r)
		case lines && r == '\r' && strings.HasPrefix(s[i:], "\r\n"):
		case r < ' ':
			b.WriteRune('␀' + r)
		case r == 0x7f:
			b.WriteRune('␡')
		case invisible(r):
			fmt.Fprintf(&b, "[U+%04X]", r)
		default:
			b.WriteRune(r) // U+FFFD for a byte that is no UTF-8
		}
	}
	return b.String()
}

// invisible tells characters that change how others are shown, or show nothing:
// bidirectional marks and overrides, C1 controls, separators of lines, tags, fillers.
// The joiners of scripts and emoji stay.
func invisible(r rune) bool {
	switch {
	case r == '\u200c' || r == '\u200d':
		return false
	case r >= 0x80 && r < 0xa0, r == '\u2028', r == '\u2029', r == '\u115f', r == '\u1160', r == '\u3164', r == '\uffa0', r == '\u034f':
		return true
	}
	return unicode.Is(unicode.Cf, r)
}

// bodyView is a body on a page.
type bodyView struct {
	Text     string
	Size     int  // bytes of the whole
	Cut      bool // only the begin is shown
	Indented bool // white space was added
	Broken   bool // bytes that are no UTF-8 are shown as U+FFFD
	Download string
}

// viewBody prepares a body for a page. JSON on a single line is laid out.
func viewBody(body admin.Body, download string) bodyView {
	b := body.Bytes()
	v := bodyView{Size: len(b), Download: download, Broken: !utf8.Valid(b)}
	if len(b) <= maxRaw && !bytes.ContainsRune(bytes.TrimSpace(b), '\n') {
		var out bytes.Buffer
		if trimmed := bytes.TrimSpace(b); len(trimmed) > 0 && trimmed[0] == '{' && json.Indent(&out, trimmed, "", "  ") == nil {
			b, v.Indented = out.Bytes(), true
		}
	}
	v.Cut = utf8.RuneCount(b) > maxShown
	v.Text = strings.TrimSuffix(cleanBlock(string(b), maxShown), "…")
	return v
}

// grouped writes a number with its thousands apart.
func grouped[T int | int64 | uint64](n T) string {
	s := strconv.FormatInt(int64(n), 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "\u202f" + s[i:] // a narrow space that does not break
	}
	return s
}

// byteSize writes a size as a person reads it.
func byteSize[T int | int64](n T) string {
	if n < 1024 {
		return strconv.FormatInt(int64(n), 10) + " B"
	}
	f, unit := float64(n)/1024, 0
	for ; f >= 1024 && unit < 4; unit++ {
		f /= 1024
	}
	return strconv.FormatFloat(f, 'f', 1, 64) + " " + []string{"KiB", "MiB", "GiB", "TiB", "PiB"}[unit]
}

// span writes how long something takes or is ago, in its largest units.
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return "under 1 s"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%d days", int(d.Hours())/24)
	}
}

// plural puts a number before the word that fits it.
func plural[T int | int64 | uint64](n T, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + many
}
