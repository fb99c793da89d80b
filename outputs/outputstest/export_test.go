package outputstest

import "testing"

// Checks are the names of all checks.
func Checks() []string {
	var names []string
	for _, c := range checks() {
		names = append(names, c.name)
	}
	return names
}

// RunCheck runs one check against any TB.
func RunCheck(tb testing.TB, h Harness, name string) {
	for _, c := range checks() {
		if c.name == name {
			runCheck(tb, h, c)
		}
	}
}
