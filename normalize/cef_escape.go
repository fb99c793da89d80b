package normalize

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// cefPart is a part of a CEF line with rules of its own for cleaning and escaping.
// Its value is the one character that needs a backslash there, beside the
// backslash itself. Parsers refuse the escape of the other part.
type cefPart byte

const (
	// cefHeader is a header field. A pipe would end it, and a line break can't be
	// written in it.
	cefHeader cefPart = '|'
	// cefExtension is the value of a key. An equals sign would begin another key; a
	// line break is written as a backslash and an n.
	cefExtension cefPart = '='
)

// append appends s cleaned, trimmed, cut to limit characters, and escaped last. It
// appends nothing if nothing is left of s.
func (part cefPart) append(dst []byte, s string, limit int) []byte {
	s = strings.TrimFunc(s, isCEFBlank)
	if len(s) > limit {
		s = strings.TrimRightFunc(part.cut(s, limit), isCEFBlank)
	}
	for len(s) > 0 {
		if c := s[0]; c >= ' ' && c < 0x7f && c != '\\' && c != byte(part) {
			dst = append(dst, c)
			s = s[1:]
			continue
		}
		r, size := part.next(s)
		s = s[size:]
		switch r {
		case '\\', rune(part):
			dst = append(dst, '\\', byte(r))
		case '\n':
			dst = append(dst, '\\', 'n')
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}

// next returns the first character of s after cleaning, and how many bytes of s
// it stands for: a run of control characters becomes one space, but in the
// extension each CR LF, CR or LF becomes a line feed.
func (part cefPart) next(s string) (r rune, size int) {
	r, size = utf8.DecodeRuneInString(s)
	if !isControl(r) {
		return r, size
	}
	if part.breaksLine(r) {
		if strings.HasPrefix(s, "\r\n") {
			return '\n', 2
		}
		return '\n', 1
	}
	for size < len(s) {
		r, n := utf8.DecodeRuneInString(s[size:])
		if !isControl(r) || part.breaksLine(r) {
			break
		}
		size += n
	}
	return ' ', size
}

func (part cefPart) breaksLine(r rune) bool {
	return part == cefExtension && (r == '\n' || r == '\r')
}

// cut returns the beginning of s that makes limit characters when it is cleaned.
func (part cefPart) cut(s string, limit int) string {
	end := 0
	for range limit {
		if end == len(s) {
			break
		}
		_, size := part.next(s[end:])
		end += size
	}
	return s[:end]
}

// isCEFBlank says whether r counts as white space at the ends of a value: space,
// or a control character, which becomes one.
func isCEFBlank(r rune) bool {
	return unicode.IsSpace(r) || isControl(r)
}
