package normalize_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/siemrelay/siemrelay/mappings"
	"github.com/siemrelay/siemrelay/normalize"
)

// FuzzEvent feeds any bytes: whatever comes in, both outputs are valid, are one
// line, and give the mapped values back.
func FuzzEvent(f *testing.F) {
	for _, body := range goldenBodies(f) {
		f.Add(body)
	}
	m := builtin(f)
	f.Fuzz(func(t *testing.T, body []byte) { checkEvent(t, m, body) })
}

// TestGenerated feeds bodies that look like the vendor's and go wrong in every
// field, which random bytes rarely do.
func TestGenerated(t *testing.T) {
	m := builtin(t)
	rapid.Check(t, func(rt *rapid.T) {
		checkEvent(t, m, []byte(objectOf(rt, documentedKeys(), 3)))
		if t.Failed() {
			rt.FailNow()
		}
	})
}

func documentedKeys() []string {
	keys := []string{"siemrelay_test"}
	for _, f := range mappedKeys {
		keys = append(keys, f.key)
	}
	return keys
}

// vendorTexts are texts that mean something in some field.
var vendorTexts = []string{
	"Threat", "Support Ticket", "threat ", "create", "UPDATE", "closed", "reopen", "info", "high", "Critical",
	"detected", "closed", "remediated", "Scanner::Site", "User", "2026-06-19T09:30:00Z", "2026-02-30T00:00:00Z",
	"2100-12-31T23:59:59.999999999-23:59", "https://my.defense.com/threats/1?a=b|c", "https://evil.example/",
}

func textOf(rt *rapid.T) string {
	if rapid.Bool().Draw(rt, "known") {
		return quote(rapid.SampledFrom(vendorTexts).Draw(rt, "text"))
	}
	piece := rapid.SampledFrom([]string{"a", "é", "😀", " ", "|", "=", `\\`, `\"`, `\n`, `\r`, `\r\n`, `\t`, `\u0000`,
		`\u001b`, "\x7f", "\u0085", "\u2028", `\u2029`, `\ud800`, `\ud83d\ude00`, "\xff", "\xe2\x82", `\/`, "CEF:0|x"})
	text := strings.Join(rapid.SliceOfN(piece, 0, 12).Draw(rt, "pieces"), "")
	return `"` + strings.Repeat(text, rapid.SampledFrom([]int{1, 1, 1, 1, 400}).Draw(rt, "times")) + `"`
}

func quote(s string) string { return `"` + s + `"` }

func valueOf(rt *rapid.T, depth int) string {
	switch rapid.IntRange(0, 9).Draw(rt, "kind") {
	case 0:
		return rapid.SampledFrom([]string{"null", "true", "false", "0", "-1.50", "1e400", "12345678901234567890"}).Draw(rt, "literal")
	case 1:
		if depth > 0 {
			return objectOf(rt, []string{"", "a", `\u0000`, "risk", strings.Repeat("k", 600)}, depth-1)
		}
	case 2:
		if depth > 0 {
			return "[" + strings.Join([]string{valueOf(rt, depth-1), valueOf(rt, depth-1)}, " ,\n") + "]"
		}
	case 3:
		n := rapid.IntRange(1, 80).Draw(rt, "nesting")
		return strings.Repeat(`[{"x":`, n) + "1" + strings.Repeat("}]", n)
	}
	return textOf(rt)
}

func objectOf(rt *rapid.T, keys []string, depth int) string {
	var members []string
	for range rapid.IntRange(0, 2*len(keys)).Draw(rt, "members") {
		key := quote(rapid.SampledFrom(keys).Draw(rt, "key"))
		if rapid.IntRange(0, 9).Draw(rt, "odd") == 0 {
			key = textOf(rt)
		}
		members = append(members, key+": "+valueOf(rt, depth))
	}
	return "{" + strings.Join(members, ",\t") + "}"
}

// FuzzParseMapping feeds any mapping file, as the first one and merged over the
// built-in one: it is taken or refused, and every mistake says where it is.
func FuzzParseMapping(f *testing.F) {
	f.Add(mappings.Defensecom())
	for _, c := range mistakes {
		f.Add([]byte(c.yaml))
	}
	example, err := os.ReadFile(exampleMapping)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	place := regexp.MustCompile(`^mapping\.yaml:[1-9]\d*:[1-9]\d*: [^\p{Cc}\x{2028}\x{2029}]+$`)
	builtIn := normalize.MappingFile{Name: mappings.File, Data: mappings.Defensecom()}
	f.Fuzz(func(t *testing.T, data []byte) {
		file := normalize.MappingFile{Name: "mapping.yaml", Data: data}
		for _, files := range [][]normalize.MappingFile{{file}, {builtIn, file}, {builtIn, file, file}} {
			m, err := normalize.ParseMappings(files, normalize.MappingOptions{})
			if err == nil {
				checkEvent(t, m, []byte(`{"record_type":"Threat","risk":"high","type":"User"}`))
				continue
			}
			for _, line := range strings.Split(err.Error(), "\n") {
				if !place.MatchString(line) {
					t.Errorf("mistake without a place, or not on one line: %q", line)
				}
			}
		}
	})
}
