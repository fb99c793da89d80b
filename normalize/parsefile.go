package normalize

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/siemrelay/siemrelay/internal/suggest"
)

// mappingReader reads one mapping file into a mapping and collects its mistakes. It
// does not use yaml's own decoding, which stops at the first mistake of some kinds
// and knows no columns, and it follows no alias, so that a file is as large as it looks.
type mappingReader struct {
	mapping  *Mapping
	file     string
	first    bool // nothing is there to merge with: every section must be given
	mistakes []MappingMistake
}

// place is where something stands: a node, and the path of its key.
type place struct {
	node *yaml.Node
	path string
}

// key is the place of the value of one of the format's own keys.
func (p place) key(key string, value *yaml.Node) place {
	return place{node: value, path: strings.TrimPrefix(p.path+"."+key, ".")}
}

// item is the place of what stands at a word, or at an index.
func (p place) item(word string, value *yaml.Node) place {
	return place{node: value, path: p.path + "[" + shownKey(word) + "]"}
}

// shownKey writes a key without quotes where nothing can be misread.
func shownKey(key string) string {
	if key == "" || len(key) > maxShown || strings.Trim(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
		return shown(key)
	}
	return key
}

// maxShown is how much of a value a message repeats, in bytes.
const maxShown = 80

func shown(text string) string {
	if len(text) > maxShown {
		text = strings.ToValidUTF8(text[:maxShown], "") + "…"
	}
	return strconv.Quote(text)
}

func (r *mappingReader) fail(p place, format string, args ...any) {
	r.mistakes = append(r.mistakes, MappingMistake{
		File: r.file, Line: p.node.Line, Column: p.node.Column, Key: p.path, Text: fmt.Sprintf(format, args...),
	})
}

// sorted returns the mistakes in the order of the file.
func (r *mappingReader) sorted() []MappingMistake {
	slices.SortStableFunc(r.mistakes, func(a, b MappingMistake) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return r.mistakes
}

func (r *mappingReader) read(data []byte) {
	if root := r.document(data); root != nil {
		r.sections(place{node: root})
	}
}

// yamlError takes what yaml.v3 says apart: "yaml: line 3: what is wrong".
var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)

// document returns the one document of a file, nil if there is a mistake.
func (r *mappingReader) document(data []byte) *yaml.Node {
	start := place{node: &yaml.Node{Line: 1, Column: 1}}
	if len(data) > MaxMappingFile {
		r.fail(start, "the file is too large; at most %d bytes are allowed", MaxMappingFile)
		return nil
	}
	var doc, more yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	err := decoder.Decode(&doc)
	if errors.Is(err, io.EOF) || err == nil && isNull(doc.Content[0]) {
		r.fail(start, "the file is empty; give at least one section, or don't name the file")
		return nil
	}
	if err == nil {
		if err = decoder.Decode(&more); err == nil {
			r.fail(place{node: &more}, "a second YAML document begins here; a file holds one")
			return nil
		}
		if errors.Is(err, io.EOF) {
			return doc.Content[0]
		}
	}
	problem := yamlError.FindStringSubmatch(err.Error())
	if problem == nil {
		problem = []string{"", "", err.Error()}
	}
	if line, err := strconv.Atoi(problem[1]); err == nil {
		start.node.Line = line
	}
	r.fail(start, "is not valid YAML: %s; look at the indentation, the quotes and the brackets here and just above", oneLine(problem[2]))
	return nil
}

// oneLine makes one line of a text that may repeat some of a file.
func oneLine(text string) string {
	return strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if isControl(r) {
			return ' '
		}
		return r
	}, text), "")
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// unusual reports what the format has no use for: an alias and a tag.
func (r *mappingReader) unusual(p place) bool {
	switch {
	case p.node.Kind == yaml.AliasNode:
		r.fail(p, "is an alias (*name), which is not supported; write the value out, or put text that begins with * in quotes")
	case p.node.Style&yaml.TaggedStyle != 0:
		r.fail(p, "has a YAML tag, which is not supported; put text that begins with ! in quotes")
	default:
		return false
	}
	return true
}

// isMapping tells whether there are keys to read. A section, of which nothing may be
// given, can be empty.
func (r *mappingReader) isMapping(p place, optional bool) bool {
	switch {
	case r.unusual(p), optional && isNull(p.node):
		return false
	case p.node.Kind != yaml.MappingNode:
		r.fail(p, "must be keys with values, not %s", describe(p.node))
		return false
	}
	return true
}

// describe says what a node is, without its content.
func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "keys with values"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(n):
		return "nothing"
	}
	return "text"
}

// keys reads a YAML mapping whose keys are known by name, and returns those that
// are given, in the order of the file.
func (r *mappingReader) keys(p place, read map[string]func(place), optional bool) (given []string) {
	if !r.isMapping(p, optional) {
		return nil
	}
	names := sortedKeys(read)
	lines := map[string]int{}
	for i := 0; i+1 < len(p.node.Content); i += 2 {
		key, value := p.node.Content[i], p.node.Content[i+1]
		here := p.key(key.Value, key)
		f, known := read[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge":
			r.fail(place{node: key, path: p.path}, "has a key that is not plain text; known here are %s", strings.Join(names, ", "))
		case !known:
			r.fail(p.key(shownKey(key.Value), key), "unknown key; %s", r.hint(key.Value, names))
		case lines[key.Value] > 0:
			r.fail(here, "is given twice; remove this one or the one in line %d", lines[key.Value])
		default:
			lines[key.Value] = key.Line
			given = append(given, key.Value)
			f(p.key(key.Value, value))
		}
	}
	return given
}

// hint says which name was meant, or which names there are.
func (r *mappingReader) hint(name string, known []string) string {
	if near := suggest.Nearest(name, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "known here are " + strings.Join(known, ", ")
}

// section is a section of words, and how what stands at one of them is read.
type section[T any] struct {
	words *words[T]
	read  func(p place, w wordBefore[T]) T
}

// wordBefore is a word of a file, and what it meant before the file.
type wordBefore[T any] struct {
	word    string
	meaning T
	known   bool
	others  []string // the words that there were
}

// isNew says of a word that it is new, and which one it may be by mistake.
func (w wordBefore[T]) isNew(what string) string {
	if near := suggest.Nearest(w.word, w.others); near != "" {
		return fmt.Sprintf("a new %s (did you mean %q?)", what, near)
	}
	return "a new " + what
}

func readSection[T any](r *mappingReader, s section[T], p place) {
	if !r.isMapping(p, true) {
		return
	}
	others := s.words.all()
	lines := map[string]int{}
	for i := 0; i+1 < len(p.node.Content); i += 2 {
		key, value := p.node.Content[i], p.node.Content[i+1]
		word, ok := r.word(place{node: key, path: p.path})
		if !ok {
			continue
		}
		lower := strings.ToLower(word)
		if lines[lower] > 0 {
			r.fail(p.item(word, key), "is given twice; remove this one or the one in line %d (words are compared without case)", lines[lower])
			continue
		}
		lines[lower] = key.Line
		meaning, known := s.words.find(word)
		s.words.set(word, s.read(p.item(word, value), wordBefore[T]{word: word, meaning: meaning, known: known, others: others}))
	}
}

// word reads a word of the vendor's, which YAML may take for a number or anything.
func (r *mappingReader) word(p place) (word string, ok bool) {
	switch {
	case r.unusual(p):
		return "", false
	case p.node.Kind != yaml.ScalarNode || p.node.ShortTag() == "!!merge" || strings.TrimSpace(p.node.Value) == "":
		r.fail(p, "has a word that is not text, or blank; write a word of the vendor's, in quotes where it has special characters")
		return "", false
	}
	return strings.TrimSpace(p.node.Value), true
}
