// Package syslogd runs real rsyslog and syslog-ng as receivers in tests.
//
// Both are unpacked from Debian's packages into a folder of the user's cache, not
// installed: they exclude each other on one system, and tests must not change the
// machine that they run on. A daemon runs as the test's own user, on loopback ports,
// with the test's configuration. The package refuses to know what is sent. Only tests
// import it.
package syslogd

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// packages are the daemons, their modules, and those libraries that a small Debian
// does not have; more has those that it may not have.
var (
	packages = []string{
		"rsyslog", "rsyslog-gnutls", "rsyslog-openssl", "rsyslog-relp", "syslog-ng-core",
		"libestr0", "libfastjson4", "liblognorm5", "librelp0", "libivykis0", "libnet1", "libpcre3", "libwrap0",
	}
	more = []string{"libjson-c5", "libglib2.0-0", "libcap2", "libgnutls30", "libssl3", "libsystemd0", "libuuid1", "libzstd1", "zlib1g"}
)

// Programs are the unpacked packages.
type Programs struct {
	root, libraries string // libraries is a search path
	rsyslogModules  string
	syslogNGModules string
}

// Find unpacks the packages, unless they are there from another run, and checks that
// both daemons run. The error says what this machine lacks: apt-get, dpkg, a mirror
// that can be reached, or a library.
func Find() (*Programs, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("find a place for syslog daemons: %w", err)
	}
	root := filepath.Join(cache, "siemrelay", "testenv", "syslogd")
	if _, err := os.Stat(root); errors.Is(err, os.ErrNotExist) {
		if err := unpack(root); err != nil {
			return nil, fmt.Errorf("unpack rsyslog and syslog-ng: %w", err)
		}
	}
	p, err := locate(root)
	if err != nil {
		return nil, err
	}
	for _, args := range [][]string{{p.rsyslogd(), "-v"}, {p.syslogNG(), "--module-path=" + p.syslogNGModules, "-V"}} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = p.environment()
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("try %s: %w; remove %s if another system filled it: %s", args[0], err, root, out)
		}
	}
	return p, nil
}

// unpack makes root, whole or not at all, also when several test processes do.
func unpack(root string) error {
	if err := os.MkdirAll(filepath.Dir(root), 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(root), "new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // apt's own user has to get in
		return err
	}
	if err := fetch(dir, packages); err != nil {
		return err
	}
	p, err := locate(dir)
	if err != nil {
		return err
	}
	missing, err := p.missing()
	if err == nil && len(missing) > 0 {
		err = fetch(dir, more)
	}
	if err != nil {
		return err
	}
	if err := os.Rename(dir, root); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

// fetch downloads packages and unpacks them into dir.
func fetch(dir string, names []string) error {
	download := append([]string{"apt-get", "download", "-q"}, names...)
	if err := run(dir, download...); err != nil {
		// The lists of a fresh container are empty, and those of an old one name
		// versions that the mirror has no more.
		if updated := run(dir, "apt-get", "update", "-q"); updated != nil {
			return errors.Join(err, updated)
		}
		if err := run(dir, download...); err != nil {
			return err
		}
	}
	archives, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return err
	}
	for _, archive := range archives {
		if err := run(dir, "dpkg", "-x", archive, dir); err != nil {
			return err
		}
		if err := os.Remove(archive); err != nil {
			return err
		}
	}
	return nil
}

func run(dir string, args ...string) error {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args[:2], " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// locate finds what the names of folders depend on: the architecture and a version.
func locate(root string) (*Programs, error) {
	find := func(pattern string) (string, error) {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err == nil && len(found) == 0 {
			err = fmt.Errorf("find %s in %s: %w; remove that folder to unpack the packages again", pattern, root, os.ErrNotExist)
		}
		if err != nil {
			return "", err
		}
		return found[0], nil
	}
	p := &Programs{root: root}
	var errs [2]error
	p.rsyslogModules, errs[0] = find("usr/lib/*/rsyslog")
	p.syslogNGModules, errs[1] = find("usr/lib/syslog-ng/*.*")
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	triplet := filepath.Base(filepath.Dir(p.rsyslogModules))
	p.libraries = strings.Join([]string{
		filepath.Join(root, "usr/lib", triplet), filepath.Join(root, "lib", triplet),
		filepath.Join(root, "usr/lib/syslog-ng"), p.syslogNGModules,
	}, ":")
	return p, nil
}

// missing lists the libraries that neither the packages nor the system have.
func (p *Programs) missing() ([]string, error) {
	files := []string{p.rsyslogd(), p.syslogNG()}
	for _, dir := range []string{p.rsyslogModules, p.syslogNGModules} {
		modules, err := filepath.Glob(filepath.Join(dir, "*.so"))
		if err != nil {
			return nil, err
		}
		files = append(files, modules...)
	}
	cmd := exec.Command("ldd", files...)
	cmd.Env = p.environment()
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list libraries: %w", err)
	}
	var names []string
	for line := range strings.Lines(string(out)) {
		if name, _, found := strings.Cut(strings.TrimSpace(line), " => not found"); found && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

func (p *Programs) rsyslogd() string { return filepath.Join(p.root, "usr/sbin/rsyslogd") }
func (p *Programs) syslogNG() string { return filepath.Join(p.root, "usr/sbin/syslog-ng") }

func (p *Programs) environment() []string {
	return append(os.Environ(), "LD_LIBRARY_PATH="+p.libraries, "LC_ALL=C.UTF-8")
}
