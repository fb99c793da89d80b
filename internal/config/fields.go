package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"
)

// field is one key of a struct, as its tags describe it.
type field struct {
	key      string
	index    int
	kind     reflect.Type
	doc      string
	required string
	min, max string
	oneof    []string
	hide     bool
	// multiline lets a text have several lines.
	multiline bool
}

var (
	typeString   = reflect.TypeFor[string]()
	typeBool     = reflect.TypeFor[bool]()
	typeInt      = reflect.TypeFor[int]()
	typeSize     = reflect.TypeFor[Size]()
	typeDuration = reflect.TypeFor[time.Duration]()
	typePrefix   = reflect.TypeFor[netip.Prefix]()
	typeSecret   = reflect.TypeFor[Secret]()
	typeOutput   = reflect.TypeFor[Output]()
)

// fileSuffix makes the key of a secret's file from the key of the secret.
const fileSuffix = "_file"

// fields lists the keys of a struct type, in the order of the struct.
func (o Options) fields(t reflect.Type) []field {
	var list []field
	for i := range t.NumField() {
		f := t.Field(i)
		key, tagged := f.Tag.Lookup("yaml")
		if !tagged || key == "-" {
			continue
		}
		next := field{
			key: key, index: i, kind: f.Type,
			doc: f.Tag.Get("doc"), required: f.Tag.Get("required"),
			min: f.Tag.Get("min"), max: f.Tag.Get("max"),
			hide: f.Tag.Get("hide") == "true", multiline: f.Tag.Get("multiline") == "true",
		}
		switch names := f.Tag.Get("oneof"); names { // oneof is never nil where there is a tag: without names, no text is allowed
		case "":
		case "@types":
			next.oneof = append([]string{}, o.typeNames()...)
		case "@formats":
			next.oneof = append([]string{}, o.Formats...)
		default:
			next.oneof = strings.Split(names, ",")
		}
		list = append(list, next)
	}
	return list
}

// keys lists what may stand in a mapping that is read into a struct of type t.
func (o Options) keys(t reflect.Type) []string {
	var list []string
	for _, f := range o.fields(t) {
		list = append(list, f.key)
		if f.kind == typeSecret {
			list = append(list, f.key+fileSuffix)
		}
	}
	if t == typeOutput {
		list = append(list, o.typeNames()...)
	}
	return list
}

func (o Options) typeNames() []string {
	var names []string
	for _, t := range o.Types {
		names = append(names, t.Name)
	}
	return names
}

// outputType finds an output type by its name.
func (o Options) outputType(name string) (OutputType, bool) {
	i := slices.IndexFunc(o.Types, func(t OutputType) bool { return t.Name == name })
	if i < 0 {
		return OutputType{}, false
	}
	return o.Types[i], true
}

// holdsSecret tells whether a struct type has a key for a secret.
func (o Options) holdsSecret(t reflect.Type) bool {
	return slices.ContainsFunc(o.fields(t), func(f field) bool { return f.kind == typeSecret })
}

// kindName is how messages and the reference page call a type.
func kindName(t reflect.Type) string {
	switch t {
	case typeString, typeSecret:
		return "text"
	case typeBool:
		return "true or false"
	case typeInt:
		return "whole number"
	case typeSize:
		return "size"
	case typeDuration:
		return "duration"
	case typePrefix:
		return "network"
	}
	switch t.Kind() {
	case reflect.Slice:
		return "list"
	case reflect.Struct, reflect.Map:
		return "keys with values"
	}
	panic(fmt.Sprintf("config: a key can't be a %s", t))
}

// a puts the article before the name of a type.
func a(t reflect.Type) string {
	name := kindName(t)
	switch name {
	case "text", "true or false", "keys with values":
		return name
	}
	return "a " + name
}
