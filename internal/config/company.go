package config

import (
	"regexp"
	"strings"
	"unicode"
)

const (
	maxNamespace = 100 // bytes

	namespaceForm = "write lower case, at most 100 bytes, without hyphen, white space, control character and \\ / * ? \" < > | , # :"
)

// topicName is what Kafka takes as the name of a topic
// (org.apache.kafka.common.internals.Topic), but for the two that are refused apart.
var topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

// check looks at what other systems must take.
func (c *Company) check(s *scope) {
	c.checkNamespace(s)
	if c.Topic != "" && (!topicName.MatchString(c.Topic) || c.Topic == "." || c.Topic == "..") {
		s.report("topic", "is no name of a topic; use letters, digits, dot, hyphen and underscore, at most 249")
	}
}

// checkNamespace holds the namespace to what Elasticsearch takes as the last part of a data
// stream's name; a hyphen would end the part before it
// (https://www.elastic.co/docs/reference/ecs/ecs-data_stream).
func (c *Company) checkNamespace(s *scope) {
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
