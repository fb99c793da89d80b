package syslog

import (
	"bytes"
	"sort"
	"unicode/utf8"

	"github.com/valyala/fastjson"
)

// mark ends every value that was cut.
const mark = "[cut]"

// shortest is what every value keeps, as long as there is another way.
const shortest = 64

// cutter makes events fit. What it returns can be parsed as what went in could: CEF
// stays CEF and JSON stays JSON, with long values shortened and marked; see cutcef.go
// and cutjson.go. The event must be clean.
type cutter struct {
	parser fastjson.Parser
	json   jsonCutter
	fields []span // of a CEF line
	head   int    // how long its header is without the name
}

// append writes event in at most room bytes.
func (c *cutter) append(dst, event []byte, room int) []byte {
	start := len(dst)
	ok := false
	switch {
	case len(event) <= room:
		return append(dst, event...)
	case isJSON(event):
		dst, ok = c.appendJSON(dst, event, room)
	case bytes.HasPrefix(event, []byte("CEF:")):
		dst, ok = c.appendCEF(dst, event, room)
	}
	if ok {
		return dst
	}
	return appendCut(dst[:start], event, room, none)
}

// escapes says what a text must not be cut inside of.
type escapes uint8

const (
	none      escapes = iota
	backslash         // a backslash and the character after it, as in CEF
	jsonText          // as in JSON, where \u has four more, and two of them may be a pair
)

// appendCut writes text in at most room bytes with the mark at its end; a room that
// is too small for the mark gets text alone.
func appendCut(dst, text []byte, room int, e escapes) []byte {
	if len(text) <= room {
		return append(dst, text...)
	}
	if room < len(mark) {
		return append(dst, text[:whole(text, room, e)]...)
	}
	dst = append(dst, text[:whole(text, room-len(mark), e)]...)
	return append(dst, mark...)
}

// whole returns the largest n up to limit at which text can be cut.
func whole(text []byte, limit int, e escapes) int {
	if e == none {
		return boundary(text, limit)
	}
	n := 0
	for n < len(text) {
		size := 1
		if text[n] == '\\' {
			size = escapeLength(text[n:], e)
		} else if text[n] >= utf8.RuneSelf {
			_, size = utf8.DecodeRune(text[n:])
		}
		if n+size > limit {
			break
		}
		n += size
	}
	return min(n, len(text))
}

// escapeLength is the length of the escape that text begins with. The two halves of
// a surrogate pair are one.
func escapeLength(text []byte, e escapes) int {
	if e != jsonText || len(text) < 2 || text[1] != 'u' {
		return 2
	}
	if len(text) >= 12 && (text[2] == 'd' || text[2] == 'D') && text[6] == '\\' && text[7] == 'u' {
		return 12
	}
	return 6
}

// largest returns the largest n in [low, high] for which fits is true, given that it
// is true for low and, if for any, for all below it.
func largest(low, high int, fits func(int) bool) int {
	return low + sort.Search(high-low, func(i int) bool { return !fits(low + i + 1) })
}
