package config

import (
	"strings"
	"unicode"
)

const (
	maxNamespace = 100 // bytes

	namespaceForm = "write lower case, at most 100 bytes, without hyphen, white space, control character and \\ / * ? \" < > | , # :"
)

// check holds the namespace to what Elasticsearch takes as the last part of a data
// stream's name; a hyphen would end the part before it
// (https://www.elastic.co/docs/reference/ecs/ecs-data_stream).
func (c *Company) check(s *scope) {
	n := c.Namespace
	switch {
	case n == "":
	case len(n) > maxNamespace:
		s.report("namespace", "is longer than %d bytes; %s", maxNamespace, namespaceForm)
	case strings.ToLower(n) != n:
		s.report("namespace", "has an upper-case letter; %s", namespaceForm)
	case strings.ContainsAny(n, `-\/*?"<>|,#:`), strings.ContainsFunc(n, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
		s.report("namespace", "has a character that a namespace can't have; %s", namespaceForm)
	}
}
