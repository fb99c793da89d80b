package config_test

import (
	"errors"
	"io/fs"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/siemrelay/siemrelay/internal/config"
)

// TestLoadMinimal checks that what a file leaves out has its default.
// anywhere leaves out where outputs stand in the file.
var anywhere = cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Where" }, cmp.Ignore())

func TestLoadMinimal(t *testing.T) {
	got := mustLoad(t, newMachine(t), minimal)
	want := config.Default()
	want.Receiver.InsecureHTTP, want.Receiver.InsecureNoAuth = true, true
	want.Outputs = []config.Output{{
		Name: "a", Type: "file", Format: "ecs", Start: "now", EventOriginal: true,
		Batch:    config.Batch{MaxEvents: 1000, MaxBytes: 5 * config.MiB, MaxWait: 500 * time.Millisecond},
		Retry:    config.Retry{Min: 500 * time.Millisecond, Max: 30 * time.Second},
		Settings: &fileSettings{Path: "-", MaxSize: 100 * config.MiB, Keep: 10},
	}}
	got.Warnings = nil
	if diff := cmp.Diff(want, got, anywhere); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestDefaults pins the defaults that the design gives.
func TestDefaults(t *testing.T) {
	want := &config.Config{
		Receiver: config.Receiver{
			Listen: "0.0.0.0:8443", Path: "/webhooks/defense", MaxBody: 1 << 20, MaxConnections: 4096,
			ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		},
		Spool: config.Spool{
			Dir: "/var/lib/siemrelay", MaxSize: 10 << 30, MinFree: 512 << 20, Retention: 7 * 24 * time.Hour,
			RetryWindow: time.Hour, RetryEntries: 200_000,
		},
		DeadLetters: config.DeadLetters{MaxSize: 1 << 30},
		Admin:       config.Admin{Listen: "127.0.0.1:9464"},
		LinkHosts:   []string{"my.defense.com"},
		Log:         config.Log{Level: "info", Format: "auto"},
	}
	if diff := cmp.Diff(want, config.Default()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestLoadEveryKey gives every key a value that is not its default.
func TestLoadEveryKey(t *testing.T) {
	m := newMachine(t)
	m.write("/mapping.yaml", "risks: {}")
	m.write("/long", canary+" and more\n")
	got := mustLoad(t, m, `
receiver:
  listen: "[::1]:1"
  path: /a
  tls: {cert_file: /tls.crt, key_file: /tls.key}
  basic_auth:
    - {username: old, password: `+canary+`}
    - {username: new, password_file: /crlf}
  allow: [203.0.113.0/24, "2001:db8::/32", 192.0.2.7, "::ffff:192.0.2.8"]
  max_body: 2MiB
  max_connections: 3
  read_timeout: 4s
  write_timeout: 5s
  idle_timeout: 6m
spool: {dir: ./data, max_size: 7GB, min_free: 0, retention: 1d12h, retry_window: 0, retry_entries: 1}
dead_letters: {max_size: 1MiB}
mappings: [/mapping.yaml]
companies: {123: {name: Acme, namespace: acme}}
admin:
  listen: 192.0.2.1:8
  tls: {cert_file: /tls.crt, key_file: /tls.key}
  users:
    - {username: ada, password: `+canary+canary+`, role: operator}
    - {username: bob, password_file: /long}
  hosts: [Siem.Example.COM]
link_hosts: [My.Example.COM]
outputs:
  - name: one
    type: file
    format: cef
    when: kind == "threat"
    batch: {max_events: 9, max_bytes: 10KiB, max_wait: 11ms}
    retry: {min: 12ms, max: 13s}
    start: oldest
    event_original: false
    file: {path: /log, max_size: 14MiB, keep: 0}
  - {name: two, type: discard, format: ecs}
log: {level: debug, format: json}
`)
	for i, want := range []string{canary, canary} {
		if value := got.Receiver.BasicAuth[i].Password.Value(); value != want {
			t.Errorf("password %d is %q", i, value)
		}
		got.Receiver.BasicAuth[i].Password = config.Secret{}
	}
	for i, want := range []string{canary + canary, canary + " and more"} {
		if value := got.Admin.Users[i].Password.Value(); value != want {
			t.Errorf("password of user %d is %q", i, value)
		}
		got.Admin.Users[i].Password = config.Secret{}
	}
	batch := config.Batch{MaxEvents: 1000, MaxBytes: 5 * config.MiB, MaxWait: 500 * time.Millisecond}
	want := &config.Config{
		Receiver: config.Receiver{
			Listen: "[::1]:1", Path: "/a", TLS: config.TLS{CertFile: "/tls.crt", KeyFile: "/tls.key"},
			BasicAuth: []config.BasicAuth{{Username: "old"}, {Username: "new"}},
			Allow: []netip.Prefix{
				netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8::/32"),
				netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("192.0.2.8/32"),
			},
			MaxBody: 2 << 20, MaxConnections: 3,
			ReadTimeout: 4 * time.Second, WriteTimeout: 5 * time.Second, IdleTimeout: 6 * time.Minute,
		},
		Spool:       config.Spool{Dir: "./data", MaxSize: 7e9, MinFree: 0, Retention: 36 * time.Hour, RetryEntries: 1},
		DeadLetters: config.DeadLetters{MaxSize: 1 << 20},
		Admin: config.Admin{
			Listen: "192.0.2.1:8", TLS: config.AdminTLS{CertFile: "/tls.crt", KeyFile: "/tls.key"},
			Users: []config.AdminUser{{Username: "ada", Role: "operator"}, {Username: "bob", Role: "viewer"}},
			Hosts: []string{"siem.example.com"},
		},
		Mappings:     []string{"/mapping.yaml"},
		MappingFiles: []config.MappingFile{{Name: "/mapping.yaml", Data: []byte("risks: {}")}},
		Companies:    map[string]config.Company{"123": {Name: "Acme", Namespace: "acme"}},
		LinkHosts:    []string{"my.example.com"},
		Outputs: []config.Output{
			{
				Name: "one", Type: "file", Format: "cef", Start: "oldest", When: `kind == "threat"`,
				Batch:    config.Batch{MaxEvents: 9, MaxBytes: 10 << 10, MaxWait: 11 * time.Millisecond},
				Retry:    config.Retry{Min: 12 * time.Millisecond, Max: 13 * time.Second},
				Settings: &fileSettings{Path: "/log", MaxSize: 14 << 20},
			},
			{
				Name: "two", Type: "discard", Format: "ecs", Start: "now", EventOriginal: true,
				Batch: batch, Retry: config.Retry{Min: 500 * time.Millisecond, Max: 30 * time.Second}, Settings: &struct{}{},
			},
		},
		Log: config.Log{Level: "debug", Format: "json"},
	}
	byString := cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
	noSecrets := cmp.Comparer(func(a, b config.Secret) bool { return a.Value() == b.Value() })
	if diff := cmp.Diff(want, got, byString, noSecrets, anywhere); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestSectionsMayBeEmpty(t *testing.T) {
	got := mustLoad(t, newMachine(t), minimal+"spool:\nadmin: {}\nlog: ~\n")
	if diff := cmp.Diff(config.Default().Spool, got.Spool); diff != "" {
		t.Error(diff)
	}
	if got := mustLoad(t, newMachine(t), minimal+"link_hosts: []\n"); len(got.LinkHosts) != 0 {
		t.Errorf("an empty list gave %v", got.LinkHosts)
	}
}

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

func TestWarnings(t *testing.T) {
	m := newMachine(t)
	m.write("/long", canary+" and more\n")
	open := func(path string) { m.files[strings.TrimPrefix(path, "/")].Mode = 0o644 }
	open("/crlf")
	open("/old.key")
	const secure = "receiver:\n  tls: {cert_file: /tls.crt, key_file: /tls.key}\n  basic_auth: [{username: a, password_file: /secret}]\n"
	old := strings.ReplaceAll(secure, "/tls.", "/old.") + oneOutput
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"nothing", secure + oneOutput, nil},
		{"plain HTTP on loopback", strings.Replace(minimal, "{", "{listen: '127.0.0.1:1', ", 1), []string{"receiver.insecure_no_auth: true lets anybody"}},
		{"plain HTTP elsewhere", withLogin("password_file: /secret"), []string{"receiver.insecure_http: true lets passwords"}},
		{"secret file", strings.Replace(secure, "/secret", "/crlf", 1) + oneOutput, []string{`receiver.basic_auth[0].password_file: "/crlf" can be read`}},
		{"certificate and key", old, []string{`receiver.tls.cert_file: "/old.crt" is a certificate that ended on 2026-02-28`, `receiver.tls.key_file: "/old.key" can be read`}},
		{"a password that can be guessed", secure + oneOutput + "admin: {users: [{username: ada, password_file: /secret}, {username: bob, password_file: /long}]}\n",
			[]string{"admin.users[0].password_file: has fewer than 12 characters"}},
		{"the console's certificate", secure + oneOutput + "admin: {tls: {cert_file: /old.crt, key_file: /old.key}}\n",
			[]string{`admin.tls.cert_file: "/old.crt" is a certificate that ended on 2026-02-28; browsers`, `admin.tls.key_file: "/old.key" can be read`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := mustLoad(t, m, c.text).Warnings
			if !slices.EqualFunc(got, c.want, func(w config.Mistake, want string) bool { return strings.Contains(w.String(), want) }) {
				t.Errorf("warnings %v, want %q", got, c.want)
			}
		})
	}
}

// TestWarnsOfReadableFileWithSecret is about the configuration file itself.
func TestWarnsOfReadableFileWithSecret(t *testing.T) {
	m := newMachine(t)
	for _, c := range []struct {
		login string
		mode  fs.FileMode
		want  bool
	}{
		{"password: " + canary, 0o644, true},
		{"password: " + canary, 0o640, false},
		{"password: ${env:CANARY}", 0o644, false},
		{"password_file: /secret", 0o644, false},
	} {
		m.files["siemrelay.yaml"] = &fstest.MapFile{Data: []byte(withLogin(c.login)), Mode: c.mode}
		cfg, err := config.Load("siemrelay.yaml", m.options())
		if err != nil {
			t.Fatal(err)
		}
		warned := slices.ContainsFunc(cfg.Warnings, func(w config.Mistake) bool { return strings.Contains(w.Text, "holds a secret") })
		if warned != c.want {
			t.Errorf("%s with mode %o: warned is %t", c.login, c.mode, warned)
		}
	}
}

func TestLoadUnreadable(t *testing.T) {
	m := newMachine(t)
	m.write("large.yaml", minimal+strings.Repeat("#\n", 1<<20))
	for path, want := range map[string]string{
		"missing.yaml": "read configuration missing.yaml: file does not exist",
		"folder":       "read configuration folder: is not a regular file",
		"large.yaml":   "read configuration large.yaml: is larger than 1MiB",
	} {
		_, err := config.Load(path, m.options())
		var all *config.Errors
		if err == nil || err.Error() != want || errors.As(err, &all) {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
}

func TestDefaultOutput(t *testing.T) {
	types := newMachine(t).options().Types
	got := config.DefaultOutput("a", types[0])
	want := mustLoad(t, newMachine(t), minimal).Outputs[0]
	want.Settings.(*fileSettings).Path = ""
	if place := (config.Mistake{File: "siemrelay.yaml", Line: 2, Column: 39, Key: "outputs[0].file"}); want.Where != place {
		t.Errorf("the settings are at %+v, want %+v", want.Where, place)
	}
	want.Where = config.Mistake{}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-loaded +made:\n%s", diff)
	}
}

// TestAccepted has what is close to a mistake and is none.
func TestAccepted(t *testing.T) {
	receiver := func(key string) string {
		return "receiver:\n  insecure_http: true\n  insecure_no_auth: true\n  " + key + "\n" + oneOutput
	}
	m := newMachine(t)
	for _, text := range []string{
		receiver("listen: 0.0.0.0:0"),
		receiver("listen: :65535"),
		receiver("listen: relay_1.example.com:8443"),
		receiver("listen: '[fe80::1%eth0]:8443'"),
		receiver("listen: 127.0.0.2:9464"), // the admin listener's port at another address
		receiver("listen: 127.0.0.1:0") + "admin: {listen: '127.0.0.1:0'}\n",
		receiver("path: /"),
		receiver("path: /a/"),
		receiver("path: /.well-known/a..b"),
		receiver("path: /a@b:c,d;e=f+g!h*(i)'j'~"),
		receiver("allow: []"),
		receiver("allow: [0.0.0.0/0, '::/0', '::1']"),
		receiver("basic_auth: []"),
		receiver("max_body: 1KiB"),
		receiver("max_body: 64MiB"),
		receiver("max_body: 8MiB") + "spool: {max_size: 8256KiB}\n",
		minimal + "admin: {listen: '[::1]:1'}\n",
		minimal + "admin: {listen: 'LOCALHOST:1'}\n",
		minimal + "admin: {listen: 127.0.0.53:1}\n",
		minimal + "admin: {users: [{username: a, password: p}]}\n",
		minimal + "admin: {tls: {cert_file: /tls.crt, key_file: /tls.key}}\n",
		minimal + "admin: {listen: '127.0.0.1:1', hosts: [], users: []}\n",
		minimal + "admin: {listen: ':1', tls: {cert_file: /tls.crt, key_file: /tls.key}, users: [{username: a, password: p}]}\n",
		minimal + "link_hosts: [a, xn--bcher-kva.example, " + strings.Repeat("a", 63) + ".b]\n",
		openReceiver + "outputs: [{name: 0a.b_c-d" + strings.Repeat("e", 55) + ", type: file, file: {path: -}}]\n",
		openReceiver + "outputs: [{name: a, type: file, file: {path: -}, retry: {min: 1s, max: 1s}}]\n",
		"---\n" + minimal + "...\n",
		"\ufeff" + minimal,
		strings.ReplaceAll(minimal, "\n", "\r\n"),
		withLogin("password: " + strings.Repeat("p", 1023-len("defense"))),
	} {
		if _, err := m.load(text); err != nil {
			t.Errorf("refused:\n%s\n%v", text, err)
		}
	}
}
