package normalize

import (
	"strings"
	"unicode"
)

// maxSlug is the longest slug in characters.
const maxSlug = 32

// slug makes a word of lower-case letters, digits and single dashes out of any
// text: every run of other characters becomes a dash, dashes at the ends go, and
// what is over 32 characters is cut. Nothing left gives "other".
func slug(s string) string {
	var b strings.Builder
	dash := false
	for _, r := range s {
		r = unicode.ToLower(r)
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') {
			dash = b.Len() > 0
			continue
		}
		if dash {
			b.WriteByte('-')
		}
		dash = false
		b.WriteRune(r)
		if b.Len() >= maxSlug {
			break
		}
	}
	if b.Len() == 0 {
		return "other"
	}
	return cut(b.String(), maxSlug)
}

// appendEscaped appends s with every byte but A-Z a-z 0-9 - . _ ~ (RFC 3986
// section 2.3) percent-escaped.
func appendEscaped(dst []byte, s string) []byte {
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.', c == '_', c == '~':
			dst = append(dst, c)
		default:
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return dst
}

const upperHex = "0123456789ABCDEF"
