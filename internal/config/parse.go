package config

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// parse returns the top mapping of the one YAML document in text. For a file
// without settings that is nil, and every key that must be there is missing.
func (d *decoder) parse(text []byte) (root *yaml.Node, ok bool) {
	documents, err := documents(text)
	if err != nil {
		d.addSyntax(text, err)
		return nil, false
	}
	if len(documents) > 1 {
		second := documents[1]
		d.add(place{line: second.Line, column: second.Column}, "a second YAML document begins here; a file holds one")
	}
	if len(documents) == 0 || isNull(documents[0].Content[0]) {
		d.add(place{line: 1, column: 1}, "there are no settings in this file; it needs at least those that follow")
		return nil, true
	}
	root = documents[0].Content[0]
	if root.Kind != yaml.MappingNode {
		d.add(at(root, ""), "must be keys with values, such as \"receiver:\", not "+describe(root))
		return nil, false
	}
	return root, true
}

// documents parses at most two documents of a YAML stream.
func documents(text []byte) ([]*yaml.Node, error) {
	var found []*yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for len(found) < 2 {
		var n yaml.Node
		err := decoder.Decode(&n)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return found, err
		}
		found = append(found, &n)
	}
	return found, nil
}

var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)

// addSyntax reports text that is not YAML. The parser knows no column, and its
// line is that of the block around the fault, or none at all.
func (d *decoder) addSyntax(text []byte, err error) {
	problem, line := err.Error(), 1
	if m := yamlError.FindStringSubmatch(problem); m != nil {
		problem = m[2]
		if n, err := strconv.Atoi(m[1]); err == nil {
			line = n
		}
	}
	if strings.HasPrefix(problem, "unknown anchor") { // the rest may be a password that begins with *
		problem = "a value that begins with * refers to an anchor that is not there; put text that begins with * in quotes"
	}
	where := place{line: line, column: 1}
	if found, ok := faultPlace(text); ok {
		where = found
	}
	d.add(where, "is not valid YAML: "+problem+"; look at the indentation, the quotes and the brackets here and just above")
}

// maxFaultLines bounds the work of faultPlace, which parses once for each line.
const maxFaultLines = 2000

// faultPlace finds the line that makes text invalid: the first one after the
// longest beginning that is valid by itself.
func faultPlace(text []byte) (place, bool) {
	lines := bytes.SplitAfter(text, []byte("\n"))
	if len(lines) > maxFaultLines {
		return place{}, false
	}
	valid := len(lines) - 1
	for ; valid > 0; valid-- {
		if _, err := documents(bytes.Join(lines[:valid], nil)); err == nil {
			break
		}
	}
	for i := valid; i < len(lines); i++ {
		rest := bytes.TrimLeft(lines[i], " \t\r\n")
		if len(rest) > 0 && rest[0] != '#' {
			return place{line: i + 1, column: len(lines[i]) - len(rest) + 1}, true
		}
	}
	return place{line: valid + 1, column: 1}, true
}

// at is the place of a node.
func at(n *yaml.Node, path string) place {
	return place{path: path, line: n.Line, column: n.Column}
}

// isNull tells whether a node is an empty value, null or ~.
func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}

// isPlain tells whether a scalar is written without quotes.
func isPlain(n *yaml.Node) bool {
	return n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
}

// describe says what a node is, without its content.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys with values"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!null":
		return "nothing"
	}
	return "text"
}
