package admin_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/admin/admintest"
)

// silentListener has an address, and nobody calls: clocks of a bubble go on meanwhile.
type silentListener struct{ closed chan struct{} }

func (l silentListener) Accept() (net.Conn, error) {
	<-l.closed
	return nil, net.ErrClosed
}

func (l silentListener) Close() error { close(l.closed); return nil }

func (l silentListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9464} }

// announcing runs a server that writes its access files into dir, until the returned
// function stops it.
func announcing(t *testing.T, dir string, logged *log) (stop func()) {
	t.Helper()
	s, err := admin.New(admin.Options{
		Operations: admintest.NewFake(), AccessDir: dir, Gatherer: prometheus.NewRegistry(),
		Ready: func() error { return nil }, Logger: slog.New(slog.NewTextHandler(logged, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ln := silentListener{make(chan struct{})}
	s.Announce(ln.Addr())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	synctest.Wait()
	return func() {
		if err := errors.Join(s.Shutdown(context.Background()), <-served); err != nil {
			t.Error(err)
		}
	}
}

// Files that can't be written, as on a full disk, are written when they can be, without
// a restart. The trouble and its end are told once.
func TestAccessFilesAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, logged := filepath.Join(t.TempDir(), "later"), &log{}
		stop := announcing(t, dir, logged)
		<-time.After(time.Hour)
		synctest.Wait()
		if _, err := admin.ReadAccess(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("read access: %v, want that nothing is there yet", err)
		}
		if n := strings.Count(logged.String(), "\n"); n != 1 || !strings.Contains(logged.String(), "commands can't reach this process") {
			t.Errorf("it has logged, within an hour:\n%s", logged)
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		<-time.After(10 * time.Second)
		synctest.Wait()
		if got, err := admin.ReadAccess(dir); err != nil || got.Address != "127.0.0.1:9464" || len(got.Token) != 64 {
			t.Errorf("read access: %v %v, want where it listens", got.Address, err)
		}
		if n := strings.Count(logged.String(), "\n"); n != 2 || !strings.Contains(logged.String(), "commands can reach this process now") {
			t.Errorf("it has logged:\n%s", logged)
		}
		stop()
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
			t.Errorf("left behind after a stop: %v %v", entries, err)
		}
	})
}

// A stop ends the tries, and nothing appears after it.
func TestStoppedBeforeTheAccessFilesAreWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "later")
		stop := announcing(t, dir, &log{})
		stop()
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Minute)
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
			t.Errorf("written after a stop: %v %v", entries, err)
		}
	})
}
