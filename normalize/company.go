package normalize

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Company is what the operator knows of a company id.
type Company struct {
	// Name is organization.name, empty for none.
	Name string
	// Namespace is data_stream.namespace of the company's events; empty means that
	// of the encoder.
	Namespace string
}

// maxNamespace is the longest namespace in bytes.
const maxNamespace = 100

// checkNamespace holds a namespace to what ECS and Elasticsearch ask of
// data_stream.namespace, the last part of a data stream's name
// (https://www.elastic.co/docs/reference/ecs/ecs-data_stream).
func checkNamespace(n string) error {
	if n == "" || len(n) > maxNamespace || strings.ToLower(n) != n || !utf8.ValidString(n) ||
		strings.ContainsAny(n, `-\/*?"<>|,#:`) || strings.ContainsFunc(n, unicode.IsSpace) || strings.ContainsFunc(n, isControl) {
		return fmt.Errorf(`namespace %q must be in lower case, without - \ / * ? " < > | , # : white space and control characters, 1 to %d bytes`,
			n, maxNamespace)
	}
	return nil
}
