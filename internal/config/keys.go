package config

import (
	"reflect"
	"strings"
)

// Key is one key of the configuration, for a reference page.
type Key struct {
	// Path is the way to the key, with [] for the elements of a list and for the
	// keys of a map: "receiver.basic_auth[].username".
	Path string
	// Type says what may be given, with the limits: "size, 1KiB to 64MiB".
	Type string
	// Default is what holds when the key is not there: "required", "none", or the
	// value as it would be written.
	Default string
	Doc     string
}

// Keys lists every key, in the order of the structs, with the settings of each
// output type after the keys that all outputs share.
func Keys(o Options) []Key {
	return o.keysOf(reflect.ValueOf(Default()).Elem(), "")
}

func (o Options) keysOf(v reflect.Value, under string) []Key {
	var list []Key
	for _, f := range o.fields(v.Type()) {
		value := v.Field(f.index)
		path := under + f.key
		if f.kind.Kind() == reflect.Struct && f.kind != typePrefix && f.kind != typeSecret {
			list = append(list, o.keysOf(value, path+".")...)
			continue
		}
		if f.kind == typeSecret {
			list = append(list, secretKeys(f, path)...)
			continue
		}
		key := Key{Path: path, Type: o.typeText(f), Default: defaultText(f, value), Doc: f.doc}
		if v.Type() == typeOutput && f.key == "format" {
			key.Default = o.defaultFormats()
		}
		list = append(list, key)
		if k := f.kind.Kind(); (k == reflect.Slice || k == reflect.Map) && f.kind.Elem().Kind() == reflect.Struct && f.kind.Elem() != typePrefix {
			list = append(list, o.keysOf(newElement(f.kind.Elem()).Elem(), path+"[].")...)
		}
	}
	if v.Type() == typeOutput {
		for _, t := range o.Types {
			list = append(list, o.keysOf(reflect.ValueOf(t.Settings()).Elem(), under+t.Name+".")...)
		}
	}
	return list
}

// secretKeys describes the two keys of a secret.
func secretKeys(f field, path string) []Key {
	own, file := "none", "none"
	if f.required != "" {
		own, file = "required, or "+f.key+fileSuffix, "required, or "+f.key
	}
	return []Key{
		{Path: path, Type: "text", Default: own, Doc: f.doc},
		{
			Path: path + fileSuffix, Type: "text", Default: file,
			Doc: "File that holds " + f.key + " on one line, instead of " + f.key + " itself. Read again when it changes.",
		},
	}
}

// defaultFormats tells which format each output type has by itself.
func (o Options) defaultFormats() string {
	var list []string
	for _, t := range o.Types {
		text := "required for " + t.Name
		if t.DefaultFormat != "" {
			text = t.DefaultFormat + " for " + t.Name
		}
		list = append(list, text)
	}
	return strings.Join(list, ", ")
}

// newElement returns a pointer to an element of a list, with its defaults.
func newElement(t reflect.Type) reflect.Value {
	element := reflect.New(t)
	if e, ok := element.Interface().(interface{ SetDefaults() }); ok {
		e.SetDefaults()
	}
	return element
}

// typeText says what may be given for a key.
func (o Options) typeText(f field) string {
	name := kindName(f.kind)
	switch f.kind.Kind() {
	case reflect.Slice:
		name = "list of " + kindName(f.kind.Elem())
	case reflect.Map:
		name = "map of text to " + kindName(f.kind.Elem())
	}
	if f.oneof != nil {
		return "one of " + strings.Join(f.oneof, ", ")
	}
	if f.kind != typeInt && f.kind != typeSize && f.kind != typeDuration {
		return name
	}
	low := show(f.limit(f.kind, f.min))
	if f.max == "" {
		return name + ", at least " + low
	}
	return name + ", " + low + " to " + show(f.limit(f.kind, f.max))
}

func defaultText(f field, v reflect.Value) string {
	switch {
	case f.required != "" && v.IsZero():
		return "required"
	case v.Kind() == reflect.Map && v.Len() == 0:
		return "none"
	case v.Kind() == reflect.Slice:
		if v.Len() == 0 {
			return "none"
		}
		items := make([]string, v.Len())
		for i := range items {
			items[i] = show(v.Index(i))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case v.Kind() == reflect.String && v.IsZero():
		return "none"
	}
	return show(v)
}
