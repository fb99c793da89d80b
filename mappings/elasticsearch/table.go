// Package elasticsearch is the data of the Elasticsearch and OpenSearch output: one
// table of fields, and the templates, pipeline and indices that it makes.
//
// It guarantees that a field is mapped if and only if the table has it, for both
// products from the same line, and that the same options give the same bytes. It
// refuses to know how they get into a cluster, and who writes the documents.
package elasticsearch

import (
	_ "embed" // the table
	"fmt"

	"gopkg.in/yaml.v3"
)

//go:embed fields.yaml
var fieldsYAML []byte

// Table is fields.yaml, whose head says what its keys mean.
type Table struct {
	// Version is the version of the templates, from 1.
	Version int
	// ECS is the version of the Elastic Common Schema, "9.4.0".
	ECS string
	// Fields are the fields by their dotted names.
	Fields map[string]Field
	// CategoryTypes are the values of event.type that go with one of event.category.
	CategoryTypes map[string][]string `yaml:"category_types"`
}

// Field is one field of the documents.
type Field struct {
	// Type is one of Elasticsearch's: date, keyword, constant_keyword,
	// match_only_text, long, float, flattened.
	Type string
	// Array says that the value is always a list.
	Array bool
	// Allowed are the values that there may be; nil for any.
	Allowed []string
	// IgnoreAbove is from how many characters a text is not indexed; 0 for never.
	IgnoreAbove int `yaml:"ignore_above"`
	// Text says that NAME.text finds the words in it.
	Text bool
	// Stored says that it is only kept.
	Stored bool
	// Pipeline says that the ingest pipeline sets it, and nothing that is sent.
	Pipeline bool
	// Latest says that documents of the latest state have it too.
	Latest bool
}

// Fields returns the table.
func Fields() Table {
	var t Table
	if err := yaml.Unmarshal(fieldsYAML, &t); err != nil {
		panic(fmt.Errorf("read embedded fields.yaml: %w", err)) // a build with broken data
	}
	return t
}
