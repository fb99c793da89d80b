package config_test

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/siemrelay/siemrelay/internal/config"
)

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
