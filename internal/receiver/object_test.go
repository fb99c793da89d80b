package receiver

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// FuzzObject holds checkObject to what encoding/json calls one JSON object. The
// documented differences are the leading byte order mark and the depth.
func FuzzObject(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":1}`, ` {"a":[1,{"b":null}],"c":"\u00e9\n"} `, "\xef\xbb\xbf{}", `[]`, `{"a":1}{`, `{"a":-0.1e+5}`,
		`{"a":"01234567\"89abcdef\\"}`, "{\"a\":\"0123456\x1f\"}", "{\"a\":\"\x80\xff\"}", `{"a":"\ud800"}`,
		strings.Repeat(`{"a":`, 64) + `1` + strings.Repeat(`}`, 64), `{"a":[` + strings.Repeat(`[`, 63),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		stored, got := checkObject(body)
		plain := bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
		trimmed := bytes.TrimLeft(plain, " \t\r\n")
		valid := json.Valid(plain) && trimmed[0] == '{'
		switch {
		case got == undecided:
			if !valid || depth(plain) > maxDepth {
				t.Fatalf("accepted %q", body)
			}
			if !bytes.Equal(stored, plain) {
				t.Fatalf("stored %q of %q", stored, body)
			}
		case valid && depth(plain) <= maxDepth:
			t.Fatalf("refused %q with outcome %d", body, got)
		}
	})
}

// depth is the depth of valid JSON, by the tokens of encoding/json.
func depth(body []byte) int {
	decoder := json.NewDecoder(bytes.NewReader(body))
	deepest, now := 0, 0
	for {
		token, err := decoder.Token()
		if err != nil {
			return deepest
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			now++
			deepest = max(deepest, now)
		case json.Delim('}'), json.Delim(']'):
			now--
		}
	}
}

func TestObjectReasons(t *testing.T) {
	for body, want := range map[string]outcome{
		`{}`:                                     undecided,
		"\xef\xbb\xbf{}":                         undecided,
		``:                                       emptyBody,
		" \n":                                    emptyBody,
		"\xef\xbb\xbf":                           emptyBody,
		`[]`:                                     notObject,
		`null`:                                   notObject,
		`"x"`:                                    notObject,
		`-1`:                                     notObject,
		`7`:                                      notObject,
		`<xml/>`:                                 invalidJSON,
		`{`:                                      invalidJSON,
		`{"a":1,}`:                               invalidJSON,
		`{} {}`:                                  trailingBytes,
		`{"a":[` + strings.Repeat(`[`, 63):       tooDeep,
		`{"a":{}` + strings.Repeat(` `, 9) + `]`: invalidJSON,
	} {
		if _, got := checkObject([]byte(body)); got != want {
			t.Errorf("%q: outcome %d, want %d", body, got, want)
		}
	}
}

// TestPlainTextAgrees holds the eight-at-a-time search to the obvious one, with
// every byte at every distance from the end of a word.
func TestPlainTextAgrees(t *testing.T) {
	for c := range 256 {
		for _, other := range []byte{'x', 0x20, 0x21, 0x23, 0x5b, 0x5d, 0x7f, 0x80, 0xa2, 0xdc, 0xff} {
			for at := range 20 {
				in := bytes.Repeat([]byte{other}, 20)
				in[at] = byte(c)
				want := len(in)
				for i, b := range in {
					if b == '"' || b == '\\' || b < 0x20 {
						want = i
						break
					}
				}
				if got := plainText(in, 0); got != want {
					t.Fatalf("plainText(%q) = %d, want %d", in, got, want)
				}
			}
		}
	}
}

func BenchmarkObject(b *testing.B) {
	for name, body := range map[string]string{
		"webhook": `{"record_type":"Threat","id":"46ce8496-9989-5fbb-a1f3-0a1bc8d920a2","description":"` + strings.Repeat("plain text with some spaces ", 40) + `","risk":"high","created_at":"2026-06-19T09:30:00Z"}`,
		"escapes": `{"a":"` + strings.Repeat(`\n\u00e9`, 100_000) + `"}`,
		"numbers": `{"a":[` + strings.Repeat(`1,-2.5e3,`, 100_000) + `0]}`,
	} {
		b.Run(name, func(b *testing.B) {
			in := []byte(body)
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				if _, o := checkObject(in); o != undecided {
					b.Fatal(o)
				}
			}
		})
	}
}
