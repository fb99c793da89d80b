package config

import (
	"fmt"
	"io/fs"
	"reflect"

	"gopkg.in/yaml.v3"
)

// secret reads a secret from its own key or from that of its file.
func (d *decoder) secret(e *entries, s *Secret, f field, p place) {
	own, file := e.take(f.key), e.take(f.key+fileSuffix)
	ownPlace, filePlace := own.place(p.child(f.key)), file.place(p.child(f.key+fileSuffix))
	d.spots[ownPlace.path] = spot{place: ownPlace}
	switch {
	case own.value != nil && file.value != nil:
		d.add(filePlace, fmt.Sprintf("is given together with %s; keep one of the two", f.key))
	case own.value != nil:
		d.secretText(own.value, s, ownPlace)
	case file.value != nil:
		d.spots[ownPlace.path] = spot{place: filePlace}
		d.secretFile(file.value, s, filePlace)
	case f.required != "" && !d.reported(filePlace.path) && !d.reported(ownPlace.path):
		d.add(ownPlace, fmt.Sprintf("is missing; give %s, as %s or in a file as %s", f.required, f.key, f.key+fileSuffix))
	}
}

// secretText reads a secret that stands in the configuration.
func (d *decoder) secretText(n *yaml.Node, s *Secret, p place) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch {
	case n.Kind != yaml.ScalarNode:
		d.add(p, "must be text, not "+describe(n))
		return
	case n.Style&yaml.TaggedStyle != 0 || n.Anchor != "":
		d.add(p, "begins with ! or &, which mean something else in YAML; put the text in quotes")
		return
	case isNull(n):
		d.add(p, "has no value; put text that begins with # or is null or ~ in quotes")
		return
	}
	x := d.expand(n.Value)
	for _, problem := range x.problems {
		d.add(p, problem)
	}
	if len(x.problems) > 0 {
		return
	}
	value := trimNewline(x.text)
	if problem := secretProblem(value); problem != "" {
		d.add(p, problem+"; a secret is one line of text without control characters")
		return
	}
	d.literal = d.literal || !x.used
	*s = NewSecret(value)
}

// secretFile reads a secret from the file that the configuration names.
func (d *decoder) secretFile(n *yaml.Node, s *Secret, p place) {
	var path string
	before := len(d.mistakes)
	d.value(n, reflect.ValueOf(&path).Elem(), field{kind: typeString, required: "the path of the file"}, p)
	if len(d.mistakes) > before {
		return
	}
	shown := d.spots[p.path].shown
	if !looksLikePath(path) {
		shown = "the file" // it may be the secret itself
	}
	secret, info, err := openSecret(path, d.options)
	if err != nil {
		d.add(p, fmt.Sprintf("%s can't be used: %v; name a readable file that holds the secret on one line", shown, err))
		return
	}
	*s = secret
	if readableByOthers(info) {
		d.warn(p, shown+" "+readableText)
	}
}

const readableText = "can be read by every user of this machine; take that right away (chmod o-r)"

// readableByOthers tells whether every user of the machine may read a file.
func readableByOthers(info fs.FileInfo) bool { return info.Mode().Perm()&0o004 != 0 }
