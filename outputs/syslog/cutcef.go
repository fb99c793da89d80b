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
	size := func(limit int) int {
		n := len(event)
		for _, f := range c.fields {
			switch {
			case f.dropped:
				n -= f.end - f.key + 1 // and the space before it
			case f.length() > limit:
				n -= f.length() - limit
			}
		}
		return n
	}
	if size(shortest) > room {
		c.dropCEF(func() bool { return size(shortest) <= room })
	}
	if size(shortest) > room {
		return dst, false
	}
	limit := largest(shortest, max(room, shortest), func(n int) bool { return size(n) <= room })
	return c.writeCEF(dst, event, limit), true
}

// dropCEF leaves out pairs, the longest first, until enough.
func (c *cutter) dropCEF(enough func() bool) {
	order := make([]int, 0, len(c.fields))
	for i, f := range c.fields {
		if f.key >= 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(c.fields[b].length(), c.fields[a].length()) })
	for _, i := range order {
		if enough() {
			return
		}
		c.fields[i].dropped = true
	}
}

func (c *cutter) writeCEF(dst, event []byte, limit int) []byte {
	at := 0
	for _, f := range c.fields {
		if f.dropped {
			// The space before the first pair is not there: it follows a pipe.
			before := event[at:f.key]
			dst = append(dst, bytes.TrimSuffix(before, []byte(" "))...)
		} else {
			dst = append(dst, event[at:f.start]...)
			dst = appendCut(dst, event[f.start:f.end], limit, backslash)
		}
		at = f.end
	}
	return append(dst, event[at:]...)
}

// parseCEF finds the spans of a CEF line: seven header fields that end in a pipe,
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
