package config

import (
	"slices"
	"strings"
)

// elsewhere returns the path of a key that is named name and stands in another
// place than under the path here: the usual result of a wrong indentation. It
// is "" when there is none or more than one.
func (d *decoder) elsewhere(name, here string) string {
	if d.paths == nil {
		d.paths = Keys(d.options)
	}
	var found []string
	for _, k := range d.paths {
		path := k.Path
		if path == name || strings.HasSuffix(path, "."+name) {
			found = append(found, path)
		}
	}
	under := withoutIndexes(here) + "."
	if inside := slices.DeleteFunc(slices.Clone(found), func(p string) bool { return !strings.HasPrefix(p, under) }); len(inside) > 0 {
		found = inside
	}
	if len(found) != 1 {
		return ""
	}
	return found[0]
}

// withoutIndexes turns outputs[2].file into outputs[].file.
func withoutIndexes(path string) string {
	var b strings.Builder
	inside := false
	for _, r := range path {
		inside = inside && r != ']'
		if !inside {
			b.WriteRune(r)
		}
		inside = inside || r == '['
	}
	return b.String()
}
