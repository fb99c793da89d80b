package normalize_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// cefTable is testdata/cef_keys.yaml.
type cefTable struct {
	Header struct{ Vendor, Product, Version, Class, Name int }
	Keys   []struct {
		Key, Type string
		Length    int
	}
}

var loadCEFTable = sync.OnceValue(func() cefTable {
	data, err := os.ReadFile("testdata/cef_keys.yaml")
	if err != nil {
		panic(err)
	}
	var table cefTable
	if err := yaml.Unmarshal(data, &table); err != nil {
		panic(err)
	}
	return table
})

// cefLine is a CEF line as a receiver understands it.
type cefLine struct {
	header [7]string // version to severity
	keys   []string  // in order
	values map[string]string
}

var (
	cefKey       = regexp.MustCompile(`^[A-Za-z0-9]+$`)
	cefClass     = regexp.MustCompile(`^(threat|ticket)\.(create|update|note|closed|reopen|other)$|^other\.event$`)
	cefCustomKey = regexp.MustCompile(`^(cs\d|cn\d|deviceCustomDate\d)$`)
)

// parseCEF is a parser of our own for tests, written from the CEF implementation
// standard and as strict as the strictest receiver: every escape that the standard
// does not name is an error.
func parseCEF(line string) (cefLine, error) {
	parsed := cefLine{values: map[string]string{}}
	rest, found := strings.CutPrefix(line, "CEF:")
	if !found {
		return parsed, fmt.Errorf("no CEF: in front")
	}
	for i := range parsed.header {
		end := unescapedIndex(rest, '|')
		if end < 0 {
			return parsed, fmt.Errorf("header field %d does not end", i)
		}
		field, err := unescapeCEF(rest[:end], map[byte]string{'\\': `\`, '|': "|"})
		if err != nil {
			return parsed, fmt.Errorf("header field %d: %w", i, err)
		}
		parsed.header[i] = field
		rest = rest[end+1:]
	}
	for rest != "" {
		equals := unescapedIndex(rest, '=')
		if equals <= 0 {
			return parsed, fmt.Errorf("no key in %q", rest)
		}
		key := rest[:equals]
		rest = rest[equals+1:]
		// The value goes on to the space before the next key, or to the end.
		end, next := len(rest), ""
		if following := unescapedIndex(rest, '='); following >= 0 {
			end = strings.LastIndexByte(rest[:following], ' ')
			if end < 0 {
				return parsed, fmt.Errorf("unescaped = in the value of %s", key)
			}
			next = rest[end+1:]
		}
		value, err := unescapeCEF(rest[:end], map[byte]string{'\\': `\`, '=': "=", 'n': "\n"})
		if err != nil {
			return parsed, fmt.Errorf("value of %s: %w", key, err)
		}
		if _, twice := parsed.values[key]; twice || !cefKey.MatchString(key) {
			return parsed, fmt.Errorf("key %q is bad, or there twice", key)
		}
		parsed.keys = append(parsed.keys, key)
		parsed.values[key] = value
		rest = next
	}
	return parsed, nil
}

// unescapedIndex finds c where no backslash escapes it.
func unescapedIndex(s string, c byte) int {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case c:
			return i
		}
	}
	return -1
}

func unescapeCEF(s string, escapes map[byte]string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		i++
		if i == len(s) || escapes[s[i]] == "" {
			return "", fmt.Errorf("bad escape in %q", s)
		}
		b.WriteString(escapes[s[i]])
	}
	return b.String(), nil
}

// checkCEF holds a line to the standard and the key dictionary, and returns it parsed.
func checkCEF(tb testing.TB, line []byte) cefLine {
	tb.Helper()
	if !utf8.Valid(line) {
		tb.Errorf("not UTF-8: %q", line)
	}
	for _, r := range string(line) {
		if r < ' ' || r >= 0x7f && r <= 0x9f || r == 0x2028 || r == 0x2029 {
			tb.Errorf("character %U in the line", r)
		}
	}
	parsed, err := parseCEF(string(line))
	if err != nil {
		tb.Fatalf("%v in %s", err, line)
	}
	table := loadCEFTable()
	if got := parsed.header[:4]; !slices.Equal(got, []string{"0", "Defense.com", "Defense.com", "1.0"}) {
		tb.Errorf("header begins %q", got)
	}
	if class := parsed.header[4]; !cefClass.MatchString(class) {
		tb.Errorf("class id %q", class)
	}
	if n := utf8.RuneCountInString(parsed.header[5]); n == 0 || n > table.Header.Name {
		tb.Errorf("name has %d characters", n)
	}
	if severity, err := strconv.Atoi(parsed.header[6]); err != nil || severity < 0 || severity > 10 {
		tb.Errorf("severity %q", parsed.header[6])
	}
	checkCEFKeys(tb, parsed)
	return parsed
}

func checkCEFKeys(tb testing.TB, parsed cefLine) {
	tb.Helper()
	order := -1
	for _, key := range parsed.keys {
		value := parsed.values[key]
		place := slices.IndexFunc(loadCEFTable().Keys, func(k struct {
			Key, Type string
			Length    int
		}) bool {
			return k.Key == key
		})
		if place <= order {
			tb.Fatalf("key %q is unknown, or out of order", key)
		}
		order = place
		entry := loadCEFTable().Keys[place]
		if entry.Type == "string" {
			if n := utf8.RuneCountInString(value); n == 0 || n > entry.Length {
				tb.Errorf("%s has %d characters, 1 to %d are allowed", key, n, entry.Length)
			}
			if value != strings.TrimSpace(value) {
				tb.Errorf("%s is not trimmed: %q", key, value)
			}
		} else if _, err := strconv.ParseInt(value, 10, 64); err != nil {
			tb.Errorf("%s is %q, type %s", key, value, entry.Type)
		}
		if label, isLabel := strings.CutSuffix(key, "Label"); isLabel && parsed.values[label] == "" {
			tb.Errorf("%s without %s", key, label)
		}
		if cefCustomKey.MatchString(key) && parsed.values[key+"Label"] == "" {
			tb.Errorf("%s without its label", key)
		}
	}
	for _, key := range []string{"rt", "dvchost", "cn1"} {
		if parsed.values[key] == "" {
			tb.Errorf("%s is missing", key)
		}
	}
}
