package syslog

import (
	"bytes"
	"cmp"
	"slices"
)

// span is a part of a CEF line that may be shortened: the name in its header or the
// value of a key.
type span struct {
	key        int // where its key begins; -1 for the name
	start, end int // of the value
	dropped    bool
}

func (s span) length() int { return s.end - s.start }

// appendCEF shortens the longest values, the header's name among them, all to the
// same length, so that short ones such as the event's id stay whole wherever they
// stand. Each is cut where no character and no escape is split. If shortest is still
// too long, whole pairs are left out, the longest first. The result is false if event
// is no CEF, or if even that is not enough.
func (c *cutter) appendCEF(dst, event []byte, room int) ([]byte, bool) {
	if !c.parseCEF(event) {
		return dst, false
	}
	if excess := c.sizeCEF(shortest) - room; excess > 0 {
		c.dropCEF(excess)
	}
	if c.sizeCEF(shortest) > room {
		return dst, false
	}
	limit := largest(shortest, max(room, shortest), func(n int) bool { return c.sizeCEF(n) <= room })
	return c.writeCEF(dst, event, limit), true
}

// sizeCEF is how long the line is, at most, with values of at most limit bytes.
func (c *cutter) sizeCEF(limit int) int {
	n, pairs := c.head, 0
	for _, f := range c.fields {
		if f.dropped {
			continue
		}
		n += min(f.length(), limit)
		if f.key >= 0 {
			n += f.start - f.key
			pairs++
		}
	}
	return n + max(pairs-1, 0) // with a space between two pairs
}

// dropCEF leaves out pairs, the longest first, until the line is excess bytes shorter
// or there are none.
func (c *cutter) dropCEF(excess int) {
	order := make([]*span, 0, len(c.fields))
	for i := range c.fields {
		if c.fields[i].key >= 0 {
			order = append(order, &c.fields[i])
		}
	}
	slices.SortStableFunc(order, func(a, b *span) int { return cmp.Compare(b.length(), a.length()) })
	for _, f := range order {
		if excess <= 0 {
			break
		}
		f.dropped = true
		excess -= f.start - f.key + min(f.length(), shortest)
	}
}

func (c *cutter) writeCEF(dst, event []byte, limit int) []byte {
	name := c.fields[0]
	dst = append(dst, event[:name.start]...)
	dst = appendCut(dst, event[name.start:name.end], limit, backslash)
	dst = append(dst, event[name.end:c.head+name.length()]...)
	separator := ""
	for _, f := range c.fields[1:] {
		if f.dropped {
			continue
		}
		dst = append(append(dst, separator...), event[f.key:f.start]...)
		dst = appendCut(dst, event[f.start:f.end], limit, backslash)
		separator = " "
	}
	return dst
}

// parseCEF finds the spans of a CEF line, the name's first, and the length of its
// header without the name: seven header fields that end in a pipe,
// then pairs. A key begins after the last space before an unescaped equals sign.
func (c *cutter) parseCEF(event []byte) bool {
	c.fields = c.fields[:0]
	at := 0
	for field := range 7 {
		end := unescaped(event[at:], '|')
		if end < 0 {
			return false
		}
		if field == 5 {
			c.fields = append(c.fields, span{key: -1, start: at, end: at + end})
		}
		at += end + 1
	}
	c.head = at - c.fields[0].length()
	for at < len(event) {
		equals := unescaped(event[at:], '=')
		if equals <= 0 {
			return false
		}
		f := span{key: at, start: at + equals + 1, end: len(event)}
		if next := unescaped(event[f.start:], '='); next >= 0 {
			space := bytes.LastIndexByte(event[f.start:f.start+next], ' ')
			if space < 0 {
				return false
			}
			f.end = f.start + space
		}
		c.fields = append(c.fields, f)
		at = min(f.end+1, len(event))
	}
	return true
}

// unescaped finds c where no backslash is before it.
func unescaped(s []byte, c byte) int {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case c:
			return i
		}
	}
	return -1
}
