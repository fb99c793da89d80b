package config

import (
	"fmt"
	"regexp"
	"strings"
)

// expansion is what became of a value's text.
type expansion struct {
	text string
	// used is set when something came from outside the file.
	used     bool
	problems []string
}

const expansionForms = "allowed are ${env:NAME}, ${env:NAME:-default} and ${file:/path}; write $$ for a dollar sign"

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// expand replaces ${env:NAME}, ${env:NAME:-default}, ${file:/path} and $$ in a
// value. What comes in is not looked at again, neither for expansions nor as
// YAML. A dollar sign before anything but { and $ stands for itself.
// The problems repeat names and paths, never values.
func (d *decoder) expand(text string) expansion {
	var x expansion
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "$")
		b.WriteString(before)
		if !found {
			break
		}
		switch {
		case strings.HasPrefix(rest, "$"):
			b.WriteByte('$')
			text = rest[1:]
		case strings.HasPrefix(rest, "{"):
			inside, after, closed := strings.Cut(rest[1:], "}")
			text = after
			x.used = true
			value, problem := "", "has a ${ without its }; "+expansionForms
			if closed {
				value, problem = d.lookUp(inside)
			}
			if problem != "" {
				x.problems = append(x.problems, problem)
			}
			b.WriteString(value)
		default:
			b.WriteByte('$')
			text = rest
		}
	}
	x.text = b.String()
	return x
}

// lookUp gives the value of what stands between ${ and }.
func (d *decoder) lookUp(inside string) (value, problem string) {
	if strings.Contains(inside, "$") {
		return "", "has an expansion inside an expansion, which is not supported; " + expansionForms
	}
	source, what, _ := strings.Cut(inside, ":")
	switch source {
	case "env":
		return d.lookUpVariable(what)
	case "file":
		return d.lookUpFile(what)
	}
	return "", "has an unknown expansion; " + expansionForms
}

func (d *decoder) lookUpVariable(what string) (value, problem string) {
	name, fallback, hasFallback := strings.Cut(what, ":-")
	if !variable.MatchString(name) {
		return "", "has an environment variable whose name is not letters, digits and underscores; " + expansionForms
	}
	value, set := d.options.Getenv(name)
	switch {
	case value == "" && hasFallback:
		return fallback, ""
	case !set:
		return "", fmt.Sprintf("the environment variable %s is not set; set it, or give a default: ${env:%s:-default}", name, name)
	}
	return value, ""
}

func (d *decoder) lookUpFile(path string) (value, problem string) {
	text, _, err := readFile(d.options, path, maxFile)
	if err != nil {
		name := "the file of ${file:…}"
		if looksLikePath(path) {
			name = "the file " + shownText(path)
		}
		return "", fmt.Sprintf("%s can't be used: %v; name a readable file", name, err)
	}
	return trimNewline(string(text)), ""
}

// looksLikePath tells a path from a secret that stands in the wrong place.
func looksLikePath(text string) bool {
	for _, start := range []string{"/", "./", "../"} {
		if strings.HasPrefix(text, start) {
			return true
		}
	}
	return false
}
