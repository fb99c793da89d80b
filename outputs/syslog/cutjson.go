package syslog

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/valyala/fastjson"
)

// cutTag is what an event that was cut has among its top-level tags: the tag that
// ECS documents of siemrelay have for a value that was cut.
const cutTag = "defensecom_cut"

// jsonLimits say what of a document is written.
type jsonLimits struct {
	text    int // bytes of a string with its escapes, of a number and of a key
	members int // of one object or array; the first ones stay
	depth   int // containers inside of each other
}

var unlimited = jsonLimits{text: 1 << 30, members: 1 << 30, depth: 1 << 30}

// appendJSON makes a smaller document, in these steps, as few as it takes:
//
//  1. event.original goes: it is a second copy of everything, and the largest part;
//  2. the longest strings are shortened, all to the same length, down to shortest;
//     a number or a key that is longer is left out;
//  3. of each object and array only the first members stay, down to 16;
//  4. objects and arrays below a depth of 4, 3, 2 become null;
//  5. of each object and array fewer than 16 members stay.
//
// The tag cutTag is added to the top-level tags, so that the document tells what
// happened to it. The result is false if event is no JSON.
func (c *cutter) appendJSON(dst, event []byte, room int) ([]byte, bool) {
	root, err := c.parser.ParseBytes(event)
	if err != nil || root.Type() != fastjson.TypeObject {
		return dst, false
	}
	if root.Exists("event", "original") {
		root.Get("event").Del("original")
	}
	start := len(dst)
	fits := func(l jsonLimits) bool {
		c.json = jsonCutter{dst: dst[:start], end: start + room, limits: l}
		c.json.root(root.GetObject())
		dst = c.json.dst[:start]
		return len(c.json.dst) <= c.json.end
	}
	limits, found := jsonFit(room, fits)
	if !found || !fits(limits) {
		return append(dst, `{"tags":["`+cutTag+`"]}`...), true
	}
	return c.json.dst, true
}

// jsonFit finds the limits that leave the most and fit.
func jsonFit(room int, fits func(jsonLimits) bool) (jsonLimits, bool) {
	const few = 16
	l := unlimited
	if fits(l) {
		return l, true
	}
	if l.text = shortest; fits(l) {
		l.text = largest(shortest, max(room, shortest), func(n int) bool { return fits(jsonLimits{n, l.members, l.depth}) })
		return l, true
	}
	if l.members = few; fits(l) {
		l.members = largest(few, max(room, few), func(n int) bool { return fits(jsonLimits{l.text, n, l.depth}) })
		return l, true
	}
	for l.depth = 4; l.depth > 1; l.depth-- {
		if fits(l) {
			return l, true
		}
	}
	for l.members = few; l.members > 0; l.members-- {
		if fits(l) {
			return l, true
		}
	}
	return l, false
}

// jsonCutter writes a document within limits, and stops soon after end.
type jsonCutter struct {
	dst     []byte
	end     int
	limits  jsonLimits
	scratch []byte
}

func (j *jsonCutter) full() bool { return len(j.dst) > j.end }

// root writes the outermost object, with the tag.
func (j *jsonCutter) root(o *fastjson.Object) {
	tagged := false
	j.object(o, 1, func(key []byte, v *fastjson.Value) bool {
		if string(key) != "tags" {
			return false
		}
		tagged = true
		j.tags(v)
		return true
	})
	if tagged {
		return
	}
	j.dst = j.dst[:len(j.dst)-1]
	if j.dst[len(j.dst)-1] != '{' {
		j.dst = append(j.dst, ',')
	}
	j.dst = append(j.dst, `"tags":["`+cutTag+`"]}`...)
}

// tags writes the top-level tags, cutTag first so that it is never one too many.
func (j *jsonCutter) tags(v *fastjson.Value) {
	list := []*fastjson.Value{v}
	if v.Type() == fastjson.TypeArray {
		list = v.GetArray()
	}
	j.dst = append(j.dst, `["`+cutTag+`"`...)
	written := 1
	for _, v := range list {
		if written >= j.limits.members || string(v.GetStringBytes()) == cutTag || j.full() {
			continue
		}
		j.dst = append(j.dst, ',')
		j.value(v, 2)
		written++
	}
	j.dst = append(j.dst, ']')
}

// object writes an object. special, if there is one, may write the value of a key
// instead and then returns true.
func (j *jsonCutter) object(o *fastjson.Object, depth int, special func([]byte, *fastjson.Value) bool) {
	j.dst = append(j.dst, '{')
	written := 0
	o.Visit(func(key []byte, v *fastjson.Value) {
		if written >= j.limits.members || len(key) > j.limits.text || j.tooLong(v) || j.full() {
			return
		}
		if written > 0 {
			j.dst = append(j.dst, ',')
		}
		written++
		j.dst = append(appendJSONString(j.dst, key), ':')
		if special == nil || !special(key, v) {
			j.value(v, depth+1)
		}
	})
	j.dst = append(j.dst, '}')
}

func (j *jsonCutter) array(list []*fastjson.Value, depth int) {
	j.dst = append(j.dst, '[')
	written := 0
	for _, v := range list {
		if written >= j.limits.members || j.tooLong(v) || j.full() {
			continue
		}
		if written > 0 {
			j.dst = append(j.dst, ',')
		}
		written++
		j.value(v, depth+1)
	}
	j.dst = append(j.dst, ']')
}

// tooLong tells whether v is a number with more digits than are written.
func (j *jsonCutter) tooLong(v *fastjson.Value) bool {
	if v.Type() != fastjson.TypeNumber {
		return false
	}
	j.scratch = v.MarshalTo(j.scratch[:0])
	return len(j.scratch) > j.limits.text
}

func (j *jsonCutter) value(v *fastjson.Value, depth int) {
	switch t := v.Type(); {
	case t == fastjson.TypeString:
		before := len(j.dst)
		j.dst = appendJSONString(j.dst, v.GetStringBytes())
		if inside := j.dst[before+1 : len(j.dst)-1]; len(inside) > j.limits.text {
			j.scratch = appendCut(j.scratch[:0], inside, j.limits.text, jsonText)
			j.dst = append(append(j.dst[:before+1], j.scratch...), '"')
		}
	case (t == fastjson.TypeObject || t == fastjson.TypeArray) && depth > j.limits.depth:
		j.dst = append(j.dst, "null"...)
	case t == fastjson.TypeObject:
		j.object(v.GetObject(), depth, nil)
	case t == fastjson.TypeArray:
		j.array(v.GetArray(), depth)
	default:
		j.dst = v.MarshalTo(j.dst)
	}
}

// appendJSONString writes s, which is UTF-8, as a JSON string without raw control
// characters.
func appendJSONString(dst, s []byte) []byte {
	dst = append(dst, '"')
	for len(s) > 0 {
		n := slices.IndexFunc(s, func(c byte) bool { return c < ' ' || c == '"' || c == '\\' || c >= 0x7f })
		if n < 0 {
			n = len(s)
		}
		dst = append(dst, s[:n]...)
		if s = s[n:]; len(s) > 0 {
			dst, s = appendJSONRune(dst, s)
		}
	}
	return append(dst, '"')
}

// appendJSONRune writes the first character of s, of which one byte needs a look.
func appendJSONRune(dst, s []byte) (written, rest []byte) {
	r, size := utf8.DecodeRune(s)
	switch {
	case r == '"' || r == '\\':
		dst = append(dst, '\\', byte(r))
	case r == '\n':
		dst = append(dst, `\n`...)
	case isControl(r):
		dst = fmt.Appendf(dst, `\u%04x`, r)
	default:
		dst = utf8.AppendRune(dst, r)
	}
	return dst, s[size:]
}
