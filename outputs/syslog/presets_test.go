package syslog_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/outputs/syslog"
)

// TestPresets holds the example of each product to what that product takes.
func TestPresets(t *testing.T) {
	const bare = `CEF:0\|Defense\.com\|Defense\.com\|1\.0\|threat\.create\|t\|8\|cs6=x cs6Label=eventId`
	files := newCertificates(t)
	password := filepath.Join(files.dir, "password")
	if err := os.WriteFile(password, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	stand := map[string]string{
		"/etc/siemrelay/tls.crt": files.serverCert, "/etc/siemrelay/tls.key": files.serverKey,
		"/etc/siemrelay/webhook-password": password,
	}
	for name, want := range map[string]string{
		"arcsight":     `^<131>Jun  9 06:30:04 relay01 ` + bare + "\n$",
		"sentinel":     `^<163>Jun  9 06:30:04 relay01 ` + bare + "\n$",
		"qradar":       `^<131>Jun  9 06:30:04 defensecom-relay ` + bare + "\n$",
		"splunk-sc4s":  `^<131>Jun  9 06:30:04 relay01 ` + bare + "\n$",
		"elastic-cef":  `^<131>Jun  9 06:30:04 relay01 ` + bare + "\n$",
		"rsyslog-relp": `^<131>1 2026-06-09T07:30:04\.120345Z relay01 siemrelay - threat\.create \[siemrelay@32473 .*\] ` + bare + "$",
	} {
		cfg, err := config.Load("../../docs/examples/"+name+".yaml", config.Options{
			Types: []config.OutputType{{
				Name: "syslog", DefaultFormat: "cef", Settings: func() any { c := syslog.Default(); return &c },
			}},
			Formats: []string{"cef", "ecs"},
			Open: func(path string) (fs.File, error) {
				if instead, ok := stand[path]; ok {
					path = instead
				}
				return os.Open(filepath.Clean(path))
			},
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		out := cfg.Outputs[0]
		text := framed(*out.Settings.(*syslog.Config), sample(shortCEF))
		if !regexp.MustCompile(want).MatchString(text) || out.Format != "cef" {
			t.Errorf("%s sends %q", name, text)
		}
		long := framed(*out.Settings.(*syslog.Config), sample(shortCEF+" msg="+strings.Repeat("m", 10_000)))
		if len(long) > 8000+1 || name == "qradar" && len(long) > 4096+1 {
			t.Errorf("%s sends %d bytes", name, len(long))
		}
	}
}
