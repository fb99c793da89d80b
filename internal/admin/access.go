package admin

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Files in the spool's folder that let a command find the process that runs on
// it. Who may read the folder may operate siemrelay.
const (
	TokenFile = "admin.token" // 64 hex digits, made anew at each start
	// AddressFile has the host:port of the admin listener; where it speaks HTTPS, a second
	// line has the SHA-256 of its certificate, in 64 hex digits.
	AddressFile = "admin.address"
)

// Access is what a command needs to talk to a running process.
type Access struct {
	Address string // host:port
	Token   string
	// Fingerprint is the SHA-256 of the one certificate to trust, in hex; empty for
	// plain HTTP.
	Fingerprint string
}

// newToken makes a token: 32 random bytes in hex.
func newToken() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // it never fails (crypto/rand)
	return hex.EncodeToString(b)
}

// Reachable is where a client on this machine reaches a TCP listener. One on every
// address takes IPv4 too, also as [::] (package net).
func Reachable(a net.Addr) string {
	if tcp, ok := a.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))
	}
	return a.String()
}

// writeAccess writes the two files into dir, mode 0600, each in one step.
func writeAccess(dir string, a Access) error {
	text := a.Address + "\n"
	if a.Fingerprint != "" {
		text += a.Fingerprint + "\n"
	}
	if err := replace(filepath.Join(dir, AddressFile), text); err != nil {
		return err
	}
	return replace(filepath.Join(dir, TokenFile), a.Token+"\n")
}

// replace writes a file that is there whole or not at all. It need not survive a
// power cut: the next start writes it anew.
func replace(path, text string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp") // mode 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write %s: %w", path, err), f.Close(), os.Remove(f.Name()))
		}
	}()
	if _, err := f.WriteString(text); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// ReadAccess reads what a running Server wrote. The error is fs.ErrNotExist where no
// process has written anything, or it has stopped well.
func ReadAccess(dir string) (Access, error) {
	token, err := os.ReadFile(filepath.Join(dir, TokenFile))
	if err != nil {
		return Access{}, fmt.Errorf("read the admin token: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(dir, AddressFile))
	if err != nil {
		return Access{}, fmt.Errorf("read the admin address: %w", err)
	}
	address, fingerprint, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return Access{Address: address, Token: strings.TrimSpace(string(token)), Fingerprint: fingerprint}, nil
}

// removeAccess takes the files away: nobody listens there any more.
func removeAccess(dir string) error {
	var errs []error
	for _, name := range []string{TokenFile, AddressFile} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
