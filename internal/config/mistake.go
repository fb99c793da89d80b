package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Mistake is one thing that is wrong in a configuration file, or unwise when it
// is a warning.
type Mistake struct {
	File string
	// Line and Column count from 1; Column counts characters. Line is 0 where there
	// is no place in the file, because it can't be read.
	Line, Column int
	// Key is the path of the key, "outputs[0].batch.max_wait"; it is empty for
	// the file as a whole.
	Key string
	// Text says what is wrong; what is allowed. It holds no secret and no control
	// character.
	Text string
}

// String gives "file:line:column: key: text".
func (m Mistake) String() string {
	at := m.File + ": "
	if m.Line > 0 {
		at = fmt.Sprintf("%s:%d:%d: ", m.File, m.Line, m.Column)
	}
	if m.Key != "" {
		at += m.Key + ": "
	}
	return at + m.Text
}

// Errors is every mistake of a file, in the order of the file, or of several, one
// after the other.
type Errors struct {
	Mistakes []Mistake
}

// Error gives one line for each mistake.
func (e *Errors) Error() string {
	lines := make([]string, len(e.Mistakes))
	for i, m := range e.Mistakes {
		lines[i] = m.String()
	}
	return strings.Join(lines, "\n")
}

// sorted puts mistakes in the order of the file. One that is met twice, through
// an alias, stays once.
func sorted(mistakes []Mistake) []Mistake {
	slices.SortStableFunc(mistakes, func(a, b Mistake) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), strings.Compare(a.Key, b.Key))
	})
	return slices.Compact(mistakes)
}
