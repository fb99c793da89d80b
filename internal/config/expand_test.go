package config_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/config"
)

func TestExpansion(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"variable", `/${env:TEN}/x`, "/10/x"},
		{"two", `/${env:TEN}${env:TRUE}`, "/10true"},
		{"in double quotes", `"/${env:TEN}"`, "/10"},
		{"in single quotes", `'/${env:TEN}'`, "/10"},
		{"default for unset", `/${env:MISSING:-a/b}`, "/a/b"},
		{"default for empty", `/${env:EMPTY:-a}`, "/a"},
		{"default that is empty", `/a${env:MISSING:-}`, "/a"},
		{"no default for empty", `/a${env:EMPTY}`, "/a"},
		{"default that looks like another", `/${env:MISSING:-x:-y}`, "/x:-y"},
		{"variable before its default", `/${env:TEN:-a}`, "/10"},
		{"file without its line ending", `/${file:/port}/x`, "/9000/x"},
		{"dollar", `/a$$b`, "/a$b"},
		{"dollar before a brace", `"/a$${b"`, "invalid"},
		{"two dollars", `/a$$$$`, "/a$$"},
		{"lone dollar", `/a$b$`, "/a$b$"},
		{"once", `/${env:DOLLARS}`, "invalid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, err := newMachine(t).load("receiver: \n  insecure_http: true\n  insecure_no_auth: true\n  path: " + c.value + "\n" + oneOutput)
			switch {
			case c.want == "invalid" && err == nil:
				t.Errorf("%s gave %q", c.value, cfg.Receiver.Path)
			case c.want != "invalid" && err != nil:
				t.Error(err)
			case err == nil && cfg.Receiver.Path != c.want:
				t.Errorf("%s gave %q, not %q", c.value, cfg.Receiver.Path, c.want)
			}
		})
	}
}

// TestExpansionTakesTheKeysType checks that a value without quotes may become
// a number, a size, a duration, or true.
func TestExpansionTakesTheKeysType(t *testing.T) {
	got := mustLoad(t, newMachine(t), `receiver:
  insecure_http: ${env:TRUE}
  insecure_no_auth: ${env:MISSING:-true}
  listen: :${file:/port}
  max_connections: ${env:TEN}
  max_body: ${env:SIZE}
  read_timeout: ${env:DURATION}
`+oneOutput).Receiver
	if !got.InsecureHTTP || !got.InsecureNoAuth || got.Listen != ":9000" || got.MaxConnections != 10 ||
		got.MaxBody != 2*config.MiB || got.ReadTimeout != 3*time.Second {
		t.Errorf("got %+v", got)
	}
}

// TestExpansionIsNotYAML puts text that would be YAML, and text that would be
// an expansion, into a secret: it must arrive as it is.
func TestExpansionIsNotYAML(t *testing.T) {
	m := newMachine(t)
	for _, value := range []string{"{a: b}", "- x", "null", "true", "# no comment", "&a *b !c", "${env:TEN}", "$$", `"q"`, " spaces "} {
		m.env["PASSWORD"] = value
		got := mustLoad(t, m, withLogin("password: ${env:PASSWORD}"))
		if p := got.Receiver.BasicAuth[0].Password.Value(); p != value {
			t.Errorf("%q became %q", value, p)
		}
	}
}

// TestSecretsAreTakenLiterally checks texts that YAML would call a number.
func TestSecretsAreTakenLiterally(t *testing.T) {
	for written, want := range map[string]string{
		"0123": "0123", "1e3": "1e3", "2026-01-01": "2026-01-01", "true": "true", "0x1F": "0x1F",
		`"a b"`: "a b", "pa$word": "pa$word", "pa$$word": "pa$word", "'null'": "null", "ü": "ü",
	} {
		got := mustLoad(t, newMachine(t), withLogin("password: "+written))
		if p := got.Receiver.BasicAuth[0].Password.Value(); p != want {
			t.Errorf("%s became %q", written, p)
		}
	}
}

func TestAliases(t *testing.T) {
	got := mustLoad(t, newMachine(t), openReceiver+`outputs:
  - name: a
    type: file
    batch: &batch {max_events: &n 7}
    file: &settings {path: /a}
  - name: b
    type: file
    batch: *batch
    file: *settings
spool: {dir: &dir /x}
admin: {listen: &l 127.0.0.1:1}
log: {level: info}
`)
	if a, b := got.Outputs[0], got.Outputs[1]; b.Batch.MaxEvents != 7 || !reflect.DeepEqual(a.Settings, b.Settings) || a.Settings == b.Settings {
		t.Errorf("aliases gave %+v and %+v", a, b)
	}
}

// TestTooManyValues needs a file within the size limit that holds more values
// than a configuration may, through an alias.
func TestTooManyValues(t *testing.T) {
	text := openReceiver + "outputs: [&o {name: a, type: file, file: {path: -}}" + strings.Repeat(",*o", 20_000) + "]\n"
	all := mistakes(t, newMachine(t), text)
	if !slices.ContainsFunc(all, func(m config.Mistake) bool { return strings.Contains(m.Text, "at most 100000") }) {
		t.Errorf("%d mistakes, none of them about the number", len(all))
	}
}
