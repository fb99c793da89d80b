package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/certificate"
	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// TestDeskHealthOverTLS is about a process that could not write down where it listens: the
// configured certificate is trusted, and no other.
func TestDeskHealthOverTLS(t *testing.T) {
	dir := t.TempDir()
	files := func(name string) config.AdminTLS {
		pair, err := endtoend.NewCertificate()
		if err != nil {
			t.Fatal(err)
		}
		c := config.AdminTLS{CertFile: filepath.Join(dir, name+".crt"), KeyFile: filepath.Join(dir, name+".key")}
		if err := pair.Write(c.CertFile, c.KeyFile); err != nil {
			t.Fatal(err)
		}
		return c
	}
	cfg := config.Default()
	cfg.Spool.Dir = filepath.Join(dir, "spool")
	cfg.Admin.TLS = files("ours")
	s, err := admin.New(admin.Options{
		Ready: func() error { return nil }, Gatherer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler),
		CertFile: cfg.Admin.TLS.CertFile, KeyFile: cfg.Admin.TLS.KeyFile,
	})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	defer func() {
		if err := errors.Join(s.Shutdown(context.Background()), <-done); err != nil {
			t.Error(err)
		}
	}()
	cfg.Admin.Listen = ln.Addr().String()
	if err := askHealth(t.Context(), cfg); err != nil {
		t.Error(err)
	}
	cfg.Admin.TLS = files("other")
	if err := askHealth(t.Context(), cfg); !errors.Is(err, certificate.ErrOther) {
		t.Errorf("with another certificate: %v", err)
	}
	cfg.Admin.TLS.CertFile = filepath.Join(dir, "gone")
	if err := askHealth(t.Context(), cfg); err == nil {
		t.Error("with none: healthy")
	}
}
