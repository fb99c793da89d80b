package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"
)

// newTable makes a table without lines. Put what may be long last: on a terminal
// a row is cut at its width.
func newTable(out *os.File, header ...any) table.Writer {
	t := table.NewWriter()
	box := table.StyleBoxDefault
	box.PaddingLeft, box.PaddingRight, box.UnfinishedRow = "", "  ", "…"
	style := table.Style{Box: box, Options: table.OptionsNoBordersAndSeparators}
	style.Format.HeaderAlign = text.AlignDefault
	if isTerminal(out) {
		if width, _, err := term.GetSize(int(out.Fd())); err == nil && width > 20 {
			style.Size.WidthMax = width
		}
	}
	t.SetStyle(style)
	t.SuppressTrailingSpaces()
	t.AppendHeader(header)
	return t
}

// printTable writes the table, right-aligned where a column has numbers only.
func printTable(out io.Writer, t table.Writer) { fmt.Fprintln(out, t.Render()) }

// printJSON writes v, indented. What a terminal would act on is escaped.
func printJSON(out io.Writer, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	if _, err := out.Write(harmlessJSON(b.Bytes())); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}

// harmlessJSON escapes characters that JSON allows in a string and that a
// terminal may act on or hide: C1 controls, marks of writing direction.
func harmlessJSON(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r == '\n' || unicode.IsGraphic(r):
			out = append(out, b[:n]...)
		case r > 0xffff:
			hi, lo := (r-0x10000)>>10+0xd800, (r-0x10000)&0x3ff+0xdc00
			out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		b = b[n:]
	}
	return out
}

// printable shows text from outside on one line: what is not a visible character
// is escaped as in Go.
func printable(s string) string {
	clean := true
	for _, r := range s {
		clean = clean && unicode.IsGraphic(r) && r != utf8.RuneError
	}
	if clean {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case unicode.IsGraphic(r):
			b.WriteString(s[:n])
		default:
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
		s = s[n:]
	}
	return b.String()
}

// printableBody shows a body: JSON indented, anything else as its lines.
func printableBody(body []byte) string {
	var b bytes.Buffer
	if json.Indent(&b, body, "", "  ") == nil {
		body = b.Bytes()
	}
	lines := strings.Split(strings.TrimRight(string(body), "\n"), "\n")
	for i, line := range lines {
		lines[i] = "  " + printable(line)
	}
	return strings.Join(lines, "\n")
}

// clip cuts a text for a table.
func clip(s string, runes int) string {
	if utf8.RuneCountInString(s) <= runes {
		return s
	}
	return string([]rune(s)[:runes-1]) + "…"
}

// size writes bytes with a binary unit.
func size(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	f, i := float64(n)/1024, 0
	for f >= 1023.95 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	return strconv.FormatFloat(f, 'f', 1, 64) + " " + units[i:i+1] + "iB"
}

// count writes "1 event", "2 events"; of the words in y only those in a consonant
// and y are used.
func count[N int | int64 | uint64](n N, what string) string {
	if n == 1 {
		return "1 " + what
	}
	plural := what + "s"
	if strings.HasSuffix(what, "y") {
		plural = strings.TrimSuffix(what, "y") + "ies"
	}
	return fmt.Sprintf("%d %s", n, plural)
}
