package syslog

import (
	"fmt"
	"unicode/utf8"
)

// isControl tells whether a character may not reach the wire raw: C0, DEL and C1,
// and the two separators that some readers take for the end of a line.
func isControl(r rune) bool {
	return r < ' ' || r >= 0x7f && r <= 0x9f || r == 0x2028 || r == 0x2029
}

// dirty returns where the first byte is that appendClean would change, or len(s).
func dirty(s []byte) int {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c < ' ' || c == 0x7f {
				return i
			}
			i++
			continue
		}
		r, size := utf8.DecodeRune(s[i:])
		if r == utf8.RuneError && size == 1 || isControl(r) {
			return i
		}
		i += size
	}
	return len(s)
}

// appendClean writes an event without raw control characters. In JSON they become
// escapes, which mean the same, except C0, which JSON has between its tokens only:
// there a space means the same. In any other text each run of them becomes one
// space. What is not UTF-8 becomes U+FFFD.
func appendClean(dst, event []byte, json bool) []byte {
	i := dirty(event)
	dst = append(dst, event[:i]...)
	space := false // the last character was a space in place of control characters
	for i < len(event) {
		r, size := utf8.DecodeRune(event[i:])
		i += size
		switch {
		case !isControl(r):
			dst = utf8.AppendRune(dst, r)
			space = false
		case json && r > ' ':
			dst = fmt.Appendf(dst, `\u%04x`, r)
		case !space || json:
			dst = append(dst, ' ')
			space = true
		}
	}
	return dst
}

// boundary returns the largest n up to limit at which s can be cut without cutting a
// character.
func boundary[T string | []byte](s T, limit int) int {
	if len(s) <= limit {
		return len(s)
	}
	n := max(limit, 0)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return n
}
