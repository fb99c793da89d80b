// Package suggest guesses which word somebody meant who wrote another one. It
// knows nothing of where the words come from, and never guesses wildly: a word
// that is unlike all others gets no suggestion.
package suggest

import "strings"

// maxLength bounds the work, which grows with the square of a word's length, in bytes.
const maxLength = 80

// Nearest returns the known word that word was most likely meant to be, or "" if
// none is near. Case, and whether a hyphen or an underscore joins parts, is no
// difference; a third of the letters may be wrong, one in a short word.
func Nearest(word string, known []string) string {
	if len(word) > maxLength {
		return ""
	}
	plain := simplify(word)
	best, limit := "", max(1, len(plain)/3)
	for _, k := range known {
		if d := editDistance(plain, simplify(k)); d <= limit {
			best, limit = k, d-1
		}
	}
	return best
}

func simplify(word string) string {
	return strings.ReplaceAll(strings.ToLower(word), "-", "_")
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
