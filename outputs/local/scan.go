package local

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// lexeme is one part of a query as it is written.
type lexeme struct {
	not    bool
	name   string // of a filter, in lower case; empty for a word or phrase
	values []value
}

func skipSpace(s string) string { return strings.TrimLeftFunc(s, unicode.IsSpace) }

// scan reads the next lexeme of a text that begins with none of white space. What
// looks like a filter is one, if its name is a word of letters: "a::b", "http://x" and
// "12:30" are words.
func scan(text string) (l lexeme, rest string, err error) {
	if len(text) > 1 && text[0] == '-' && !startsWithSpace(text[1:]) {
		l.not, text = true, text[1:]
	}
	if text[0] == '"' {
		v, rest, err := phrase(text)
		l.values = []value{v}
		return l, rest, err
	}
	if name, after, found := strings.Cut(text, ":"); found && name != "" && isName(name) && !strings.HasPrefix(after, ":") && !strings.HasPrefix(after, "//") {
		l.name = strings.ToLower(name)
		for {
			var v value
			if v, after, err = filterValue(after); err != nil {
				return l, "", err
			}
			l.values = append(l.values, v)
			if !strings.HasPrefix(after, ",") {
				return l, after, nil
			}
			after = after[1:]
		}
	}
	word, rest := until(text, unicode.IsSpace)
	l.values = []value{{text: word}}
	return l, rest, nil
}

func startsWithSpace(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsSpace(r)
}

func isName(s string) bool {
	return strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz_") == ""
}

// filterValue reads one value of a filter, up to a comma or white space.
func filterValue(text string) (v value, rest string, err error) {
	if strings.HasPrefix(text, `"`) {
		return phrase(text)
	}
	v.text, rest = until(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
	return v, rest, nil
}

// until cuts a text before the first rune that ends it.
func until(text string, ends func(rune) bool) (before, rest string) {
	if i := strings.IndexFunc(text, ends); i >= 0 {
		return text[:i], text[i:]
	}
	return text, ""
}

// phrase reads a text in quotes.
func phrase(text string) (v value, rest string, err error) {
	inside, rest, closed := strings.Cut(text[1:], `"`)
	if !closed {
		return v, "", wrong("a quote is not closed: %s", cut(text, 60))
	}
	return value{inside, true}, rest, nil
}
