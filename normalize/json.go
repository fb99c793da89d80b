package normalize

import (
	"math/bits"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// The functions of this file walk JSON that fastjson has found valid, and write
// JSON strings.

// skipSpace cuts the white space of RFC 8259 section 2 off the front of s.
func skipSpace(s string) string {
	for len(s) > 0 && (s[0] == ' ' || s[0] == '\n' || s[0] == '\t' || s[0] == '\r') {
		s = s[1:]
	}
	return s
}

// cutString cuts a string off the front of s, which begins after its opening
// quote, and returns its inside and what follows the closing quote.
func cutString(s string) (inside, rest string) {
	for end := 0; ; end++ {
		end += strings.IndexByte(s[end:], '"')
		backslashes := 0
		for backslashes < end && s[end-1-backslashes] == '\\' {
			backslashes++
		}
		if backslashes%2 == 0 {
			return s[:end], s[end+1:]
		}
	}
}

// cutValue cuts a value off the front of s and returns it and what follows it.
func cutValue(s string) (value, rest string) {
	switch s[0] {
	case '"':
		inside, rest := cutString(s[1:])
		return s[:len(inside)+2], rest
	case '{', '[':
		depth, rest := 0, s
		for {
			switch c := rest[0]; c {
			case '"':
				_, rest = cutString(rest[1:])
				continue
			case '{', '[':
				depth++
			case '}', ']':
				depth--
			}
			rest = rest[1:]
			if depth == 0 {
				return s[:len(s)-len(rest)], rest
			}
		}
	}
	end := strings.IndexAny(s, ",}] \t\r\n")
	if end < 0 {
		end = len(s)
	}
	return s[:end], s[end:]
}

// appendMembers puts the members of the object s, their keys decoded, on the stack.
func (p *payload) appendMembers(s string) {
	s = skipSpace(s[1:])
	for s[0] != '}' {
		var m member
		m.key, s = cutString(s[1:])
		m.key = p.unquote(m.key)
		s = skipSpace(s)
		m.value, s = cutValue(skipSpace(s[1:]))
		p.members = append(p.members, m)
		if s = skipSpace(s); s[0] == ',' {
			s = skipSpace(s[1:])
		}
	}
}

// unquote returns the text of a JSON string, given its inside: escapes resolved,
// each lone surrogate and each byte of invalid UTF-8 replaced by U+FFFD.
func (p *payload) unquote(s string) string {
	if p.clean || utf8.ValidString(s) && strings.IndexByte(s, '\\') < 0 {
		return s
	}
	start := len(p.decoded)
	for len(s) > 0 {
		var r rune
		if s[0] == '\\' {
			r, s = unescape(s)
		} else {
			var size int
			r, size = utf8.DecodeRuneInString(s)
			s = s[size:]
		}
		p.decoded = utf8.AppendRune(p.decoded, r)
	}
	return view(p.decoded[start:])
}

// unescape reads the escape at the front of s (RFC 8259 section 7).
func unescape(s string) (r rune, rest string) {
	switch c := s[1]; c {
	case 'b':
		return '\b', s[2:]
	case 'f':
		return '\f', s[2:]
	case 'n':
		return '\n', s[2:]
	case 'r':
		return '\r', s[2:]
	case 't':
		return '\t', s[2:]
	case 'u':
		r, rest = hex4(s[2:]), s[6:]
		if !utf16.IsSurrogate(r) {
			return r, rest
		}
		if strings.HasPrefix(rest, `\u`) {
			if pair := utf16.DecodeRune(r, hex4(rest[2:])); pair != utf8.RuneError {
				return pair, rest[6:]
			}
		}
		return utf8.RuneError, rest
	default: // quote, backslash, slash
		return rune(c), s[2:]
	}
}

// hex4 returns the number that the first four hex digits of s write.
func hex4(s string) rune {
	var r rune
	for _, c := range []byte(s[:4]) {
		switch {
		case c <= '9':
			c -= '0'
		default:
			c = c&^0x20 - 'A' + 10
		}
		r = r<<4 | rune(c)
	}
	return r
}

// loneSurrogate says whether an escape in s writes half of a surrogate pair.
func loneSurrogate(s string) bool {
	for {
		i := strings.IndexByte(s, '\\')
		if i < 0 {
			return false
		}
		escaped := s[i:]
		var r rune
		// unescape gives U+FFFD for a lone surrogate, and for an escape that says so.
		if r, s = unescape(escaped); r == utf8.RuneError && !strings.EqualFold(escaped[2:6], "fffd") {
			return true
		}
	}
}

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string. Control characters are escaped, so
// that the output is one line by anyone's definition; a byte of invalid UTF-8
// becomes U+FFFD.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for {
		n := plainPrefix(s)
		dst = append(dst, s[:n]...)
		if s = s[n:]; s == "" {
			return append(dst, '"')
		}
		r, size := utf8.DecodeRuneInString(s)
		s = s[size:]
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, '\\', 'n')
		case r == '\r':
			dst = append(dst, '\\', 'r')
		case r == '\t':
			dst = append(dst, '\\', 't')
		case isControl(r):
			dst = append(dst, '\\', 'u', hexDigits[r>>12], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
		default: // U+FFFD for a byte of invalid UTF-8
			dst = utf8.AppendRune(dst, r)
		}
	}
}

// plainPrefix returns how many bytes at the front of s are ASCII that a JSON
// string takes as it is. It looks at eight bytes at a time: in each byte's lane
// one of the sums has its top bit on if the byte is not plain. Carries and borrows
// leave such a lane only upwards, so the lowest one is always right.
func plainPrefix(s string) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; len(s)-i >= 8; i += 8 {
		b := s[i : i+8]
		x := uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
			uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
		quote, backslash := x^ones*'"', x^ones*'\\'
		special := (x | (x + ones) | (x - ones*' ') | (quote - ones) | (backslash - ones)) & tops
		if special != 0 {
			return i + bits.TrailingZeros64(special)/8
		}
	}
	for i < len(s) && s[i] >= ' ' && s[i] < 0x7f && s[i] != '"' && s[i] != '\\' {
		i++
	}
	return i
}

// isControl says whether r is a control character: C0, DEL, C1, U+2028 or U+2029.
// Each of them ends a line, or does worse, for some reader.
func isControl(r rune) bool {
	return r < ' ' || r >= 0x7f && r <= 0x9f || r == 0x2028 || r == 0x2029
}
