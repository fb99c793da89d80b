package receiver

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// maxDepth is how deep objects and arrays may be nested; the outer object
// counts as 1. A scanner's stack is one bit per level of a uint64.
const maxDepth = 64

// checkObject says whether body is one JSON object (RFC 8259), and returns the
// bytes to store: body without a leading byte order mark. White space around
// the object stays.
//
// What may stand inside strings is not judged beyond the grammar: invalid
// UTF-8, lone surrogates and duplicate keys are accepted (design: such alerts
// are kept and tagged, a refused alert is lost).
//
// This is not fastjson.Validate, which recurses without a limit on foreign
// input and, on an error, quotes the rest of the body once per level.
func checkObject(body []byte) ([]byte, outcome) {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	i := skipSpace(body, 0)
	if i == len(body) {
		return nil, emptyBody
	}
	if body[i] != '{' {
		return nil, notAnObject(body[i])
	}
	end, o := scanObject(body, i)
	if o != undecided {
		return nil, o
	}
	if skipSpace(body, end) != len(body) {
		return nil, trailingBytes
	}
	return body, undecided
}

// notAnObject chooses the more helpful reason for a body that starts with c.
func notAnObject(c byte) outcome {
	if c == '[' || c == '"' || c == '-' || c >= '0' && c <= '9' || c == 't' || c == 'f' || c == 'n' {
		return notObject
	}
	return invalidJSON
}

// scanner walks one JSON value without allocating; open and value call each
// other at most maxDepth deep.
type scanner struct {
	in      []byte
	objects uint64 // bit n is set if level n+1 is an object, clear if an array
	depth   int
}

// scanObject scans the object that starts at in[i] and returns the index after
// its closing brace.
func scanObject(in []byte, i int) (int, outcome) {
	s := scanner{in: in}
	for {
		// Here a value starts at i, or white space before it.
		next, o := s.value(skipSpace(in, i))
		if o != undecided {
			return 0, o
		}
		i = next
		// Close what ends here, until a comma asks for another value.
		for s.depth > 0 {
			i = skipSpace(in, i)
			if i == len(in) {
				return 0, invalidJSON
			}
			c := in[i]
			i++
			if c == ',' {
				if s.inObject() {
					if i = s.key(skipSpace(in, i)); i < 0 {
						return 0, invalidJSON
					}
				}
				break
			}
			if c != s.closer() {
				return 0, invalidJSON
			}
			s.depth--
		}
		if s.depth == 0 {
			return i, undecided
		}
	}
}

func (s *scanner) inObject() bool { return s.objects>>(s.depth-1)&1 == 1 }

func (s *scanner) closer() byte {
	if s.inObject() {
		return '}'
	}
	return ']'
}

// value scans a scalar, an empty container, or the opening of a container up
// to where its first value starts; it returns the index after that.
func (s *scanner) value(i int) (int, outcome) {
	if i == len(s.in) {
		return 0, invalidJSON
	}
	var end int
	switch s.in[i] {
	case '{', '[':
		return s.open(i)
	case '"':
		end = scanString(s.in, i+1)
	case 't':
		end = scanWord(s.in, i, "true")
	case 'f':
		end = scanWord(s.in, i, "false")
	case 'n':
		end = scanWord(s.in, i, "null")
	default:
		end = scanNumber(s.in, i)
	}
	if end < 0 {
		return 0, invalidJSON
	}
	return end, undecided
}

func (s *scanner) open(i int) (int, outcome) {
	object := s.in[i] == '{'
	if s.depth == maxDepth {
		return 0, tooDeep
	}
	s.depth++
	s.objects &^= 1 << (s.depth - 1)
	if object {
		s.objects |= 1 << (s.depth - 1)
	}
	i = skipSpace(s.in, i+1)
	if i < len(s.in) && s.in[i] == s.closer() {
		s.depth--
		return i + 1, undecided
	}
	if object {
		if i = s.key(i); i < 0 {
			return 0, invalidJSON
		}
	}
	return s.value(skipSpace(s.in, i))
}

// key scans a member's name and its colon; it returns -1 if they are not there.
func (s *scanner) key(i int) int {
	if i >= len(s.in) || s.in[i] != '"' {
		return -1
	}
	if i = scanString(s.in, i+1); i < 0 {
		return -1
	}
	i = skipSpace(s.in, i)
	if i >= len(s.in) || s.in[i] != ':' {
		return -1
	}
	return i + 1
}

// skipSpace returns the index of the first byte at or after i that is not JSON
// white space.
func skipSpace(in []byte, i int) int {
	for i < len(in) && (in[i] == ' ' || in[i] == '\n' || in[i] == '\r' || in[i] == '\t') {
		i++
	}
	return i
}

func scanWord(in []byte, i int, word string) int {
	if len(in)-i < len(word) || string(in[i:i+len(word)]) != word {
		return -1
	}
	return i + len(word)
}

// scanString scans a string whose opening quote is before i, and returns the
// index after the closing one, or -1.
func scanString(in []byte, i int) int {
	for {
		i = plainText(in, i)
		if i == len(in) {
			return -1
		}
		switch in[i] {
		case '"':
			return i + 1
		case '\\':
			if i = scanEscape(in, i+1); i < 0 {
				return -1
			}
		default: // a control character, which has to be escaped
			return -1
		}
	}
}

// plainText returns the index of the first byte at or after i that is a quote,
// a backslash or a control character. It looks at eight bytes at a time.
func plainText(in []byte, i int) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(in); i += 8 {
		w := binary.LittleEndian.Uint64(in[i:])
		quote, slash := w^ones*'"', w^ones*'\\'
		// The lowest marked byte is exact; higher ones may be marked wrongly
		// by a borrow, which is why only the lowest is used.
		found := ((w - ones*0x20) &^ w) | ((quote - ones) &^ quote) | ((slash - ones) &^ slash)
		if found &= highs; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for i < len(in) && in[i] != '"' && in[i] != '\\' && in[i] >= 0x20 {
		i++
	}
	return i
}

// scanEscape scans what follows a backslash.
func scanEscape(in []byte, i int) int {
	if i >= len(in) {
		return -1
	}
	switch in[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
		if len(in)-i < 5 {
			return -1
		}
		for _, c := range in[i+1 : i+5] {
			if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
				return -1
			}
		}
		return i + 5
	}
	return -1
}

// scanNumber scans a number by the grammar of RFC 8259 section 6.
func scanNumber(in []byte, i int) int {
	if i < len(in) && in[i] == '-' {
		i++
	}
	end := digits(in, i)
	if end == i || in[i] == '0' && end > i+1 {
		return -1
	}
	i = end
	if i < len(in) && in[i] == '.' {
		if end = digits(in, i+1); end == i+1 {
			return -1
		}
		i = end
	}
	if i < len(in) && in[i]|0x20 == 'e' {
		i++
		if i < len(in) && (in[i] == '+' || in[i] == '-') {
			i++
		}
		if end = digits(in, i); end == i {
			return -1
		}
		i = end
	}
	return i
}

func digits(in []byte, i int) int {
	for i < len(in) && in[i] >= '0' && in[i] <= '9' {
		i++
	}
	return i
}
