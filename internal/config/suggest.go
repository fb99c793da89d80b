package config

import (
	"slices"
	"strings"
)

// nearest returns the known name that name was most likely meant to be, or "".
func nearest(name string, known []string) string {
	if len(name) > maxShown {
		return ""
	}
	plain := simplify(name)
	best, limit := "", max(1, len(plain)/3)
	for _, k := range known {
		if d := editDistance(plain, simplify(k)); d <= limit {
			best, limit = k, d-1
		}
	}
	return best
}

func simplify(name string) string {
	return strings.ReplaceAll(strings.ToLower(name), "-", "_")
}

// editDistance counts the letters to insert, remove, replace or swap with their
// neighbour to make b out of a (the restricted Damerau-Levenshtein distance).
func editDistance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replace := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			rows[i][j] = min(replace, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

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
