package config_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
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
