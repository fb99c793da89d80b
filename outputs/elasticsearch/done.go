package elasticsearch

import "bytes"

// allDone tells whether a reply says, in the form in which clusters say it, that all of
// ops were carried out, each in its place. Whatever else is in a reply, or is written in
// another way, is parseBulk's to read: allDone is there because that takes ten times as
// long, and nearly every reply is of this kind. Where it is true, parseBulk finds the
// same.
func allDone(body []byte, ops []operation) bool {
	s := scanner{bytes.Trim(body, " \t\r\n")}
	if !s.eat(`{`) {
		return false
	}
	for !s.eat(`"items":[`) {
		switch {
		case s.eat(`"errors":false,`):
		case s.eat(`"took":`), s.eat(`"ingest_took":`):
			if !s.number() || !s.eat(`,`) {
				return false
			}
		default:
			return false
		}
	}
	return s.items(ops) && string(s.rest) == "]}"
}

// scanner reads what it expects.
type scanner struct{ rest []byte }

// eat takes text, if it is next.
func (s *scanner) eat(text string) bool {
	if len(s.rest) < len(text) || string(s.rest[:len(text)]) != text {
		return false
	}
	s.rest = s.rest[len(text):]
	return true
}

// number takes digits, as many as time is told in.
func (s *scanner) number() bool {
	n := 0
	for n < len(s.rest) && n < 15 && s.rest[n] >= '0' && s.rest[n] <= '9' {
		n++
	}
	if n == 0 || n > 1 && s.rest[0] == '0' {
		return false
	}
	s.rest = s.rest[n:]
	return true
}

// items takes an item that was carried out for each of ops.
func (s *scanner) items(ops []operation) bool {
	for i := range ops {
		if i > 0 && !s.eat(`,`) {
			return false
		}
		if !s.eat(`{"`) || !s.eat(ops[i].action) || !s.eat(`":{`) || !s.item(ops[i].id) || !s.eat(`}`) {
			return false
		}
	}
	return true
}

// item takes the members of an item, each once and in any order.
func (s *scanner) item(id string) bool {
	var named, status, result bool
	for i := range 3 {
		if i > 0 && !s.eat(`,`) {
			return false
		}
		switch {
		case s.eat(`"_id":"`):
			named = s.eat(id) && s.eat(`"`)
		case s.eat(`"status":201`), s.eat(`"status":200`):
			status = true
		case s.eat(`"result":"created"`), s.eat(`"result":"updated"`):
			result = true
		default:
			return false
		}
	}
	return named && status && result && s.eat(`}`)
}
