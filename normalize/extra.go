package normalize

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of defensecom.extra, which Elasticsearch maps as flattened. It refuses a
// whole document for an object too deep (20 by default), for NUL in a key, and
// for a key whose path and value take more than 32,766 bytes together. Values
// over 1,024 characters are not indexed, so ten keys of 512 characters and such
// a value stay below that: 10*(4*512+1) + 3*1024 = 23,562 bytes.
const (
	maxExtraDepth = 10
	maxExtraKey   = 512
)

// maxNumber is the longest number, in bytes, that stays one: Elasticsearch's JSON
// reader takes no more than 1,000 characters.
const maxNumber = 1000

// appendExtra appends an object of all top-level members whose field is not in
// mapped, and takes all of them off the stack. It returns dst as it was if there
// are none.
func (p *payload) appendExtra(dst []byte, mapped fieldSet) []byte {
	p.members = slices.DeleteFunc(p.members, func(m member) bool { return mapped.has(m.field) })
	if len(p.members) == 0 {
		return dst
	}
	return p.appendObject(dst, 0, 1)
}

// appendValue appends the JSON value raw anew: compact, in valid UTF-8, with the
// last of equal keys. A depth of 0 keeps everything else as it is. From 1 on it
// is the value's depth in defensecom.extra, the outermost object being 1, and the
// rules of extra hold: what is deeper than maxExtraDepth becomes a JSON string,
// and so does a number that a reader may refuse.
func (p *payload) appendValue(dst []byte, raw string, depth int) []byte {
	switch c := raw[0]; {
	case c == '"':
		return appendString(dst, p.unquote(raw[1:len(raw)-1]))
	case (c == '{' || c == '[') && depth > maxExtraDepth:
		p.inner = p.appendValue(p.inner[:0], raw, 0)
		return appendString(dst, view(p.inner))
	case c == '{':
		base := len(p.members)
		p.appendMembers(raw)
		return p.appendObject(dst, base, depth)
	case c == '[':
		return p.appendArray(dst, raw, depth)
	case depth > 0 && !safeNumber(raw):
		return appendString(dst, raw)
	}
	return append(dst, raw...)
}

func (p *payload) appendArray(dst []byte, raw string, depth int) []byte {
	dst = append(dst, '[')
	for s := skipSpace(raw[1:]); s[0] != ']'; {
		var value string
		value, s = cutValue(s)
		dst = p.appendValue(dst, value, deeper(depth))
		if s = skipSpace(s); s[0] == ',' {
			dst = append(dst, ',')
			s = skipSpace(s[1:])
		}
	}
	return append(dst, ']')
}

// appendObject appends the members from base on as an object, and takes them off
// the stack.
func (p *payload) appendObject(dst []byte, base, depth int) []byte {
	members := p.members[base:]
	if depth > 0 {
		for i := range members {
			members[i].key = p.extraKey(members[i].key)
		}
	}
	last := lastIndexes(members)
	dst = append(dst, '{')
	for i, m := range members {
		if overwritten(members, last, i) {
			p.duplicateKey = true
			continue
		}
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst = appendString(dst, m.key)
		dst = append(dst, ':')
		dst = p.appendValue(dst, m.value, deeper(depth))
	}
	p.members = p.members[:base]
	return append(dst, '}')
}

func deeper(depth int) int {
	if depth == 0 {
		return 0
	}
	return depth + 1
}

// lastIndexes returns where each key stands last, or nil where comparing the few
// members one by one is quicker.
func lastIndexes(members []member) map[string]int {
	if len(members) <= 16 {
		return nil
	}
	last := make(map[string]int, len(members))
	for i, m := range members {
		last[m.key] = i
	}
	return last
}

// overwritten says whether a member after the i-th has the same key.
func overwritten(members []member, last map[string]int, i int) bool {
	if last != nil {
		return last[members[i].key] != i
	}
	for _, m := range members[i+1:] {
		if m.key == members[i].key {
			return true
		}
	}
	return false
}

// extraKey makes a key that the flattened type takes.
func (p *payload) extraKey(key string) string {
	if strings.IndexByte(key, 0) >= 0 {
		start := len(p.decoded)
		for _, c := range []byte(key) {
			if c != 0 {
				p.decoded = append(p.decoded, c)
			}
		}
		key = view(p.decoded[start:])
	}
	if key == "" {
		return "_"
	}
	short := cut(key, maxExtraKey)
	p.cutKey = p.cutKey || len(short) < len(key)
	return short
}

// cut returns the first n characters of s.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	end := 0
	for range n {
		if end >= len(s) {
			return s
		}
		_, size := utf8.DecodeRuneInString(s[end:])
		end += size
	}
	return s[:end]
}

// safeNumber says whether every JSON reader takes raw, a number or a literal: not
// too long, and finite as a 64-bit float.
func safeNumber(raw string) bool {
	if len(raw) > maxNumber {
		return false
	}
	if len(raw) < 300 && strings.IndexByte(raw, 'e') < 0 && strings.IndexByte(raw, 'E') < 0 {
		return true
	}
	f, err := strconv.ParseFloat(raw, 64)
	return err == nil && !math.IsInf(f, 0) || raw == "true" || raw == "false"
}
