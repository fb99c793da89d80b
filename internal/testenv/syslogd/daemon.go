package syslogd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// patience is how long a daemon may take to start or to stop.
const patience = time.Minute

// Daemon is one receiver. It can be started, ended and started again; what it writes
// stays in its folder.
type Daemon struct {
	// Dir is the folder in which it runs, where relative paths of its configuration
	// lead.
	Dir string
	// Ports are the loopback ports that it has to listen on, "tcp:10514" or
	// "udp:10514".
	Ports []string

	args   []string
	env    []string
	cmd    *exec.Cmd
	exited chan struct{}
}

// Rsyslog makes an rsyslogd with a configuration, in a folder that must exist.
func (p *Programs) Rsyslog(dir, config string, ports ...string) (*Daemon, error) {
	file := filepath.Join(dir, "rsyslog.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, fmt.Errorf("configure rsyslog: %w", err)
	}
	args := []string{p.rsyslogd(), "-n", "-C", "-M", p.rsyslogModules, "-f", file, "-i", filepath.Join(dir, "rsyslog.pid")}
	return &Daemon{Dir: dir, Ports: ports, args: args, env: p.environment()}, nil
}

// SyslogNG makes a syslog-ng with a configuration, in a folder that must exist.
func (p *Programs) SyslogNG(dir, config string, ports ...string) (*Daemon, error) {
	file := filepath.Join(dir, "syslog-ng.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, fmt.Errorf("configure syslog-ng: %w", err)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	args := []string{
		p.syslogNG(), "-F", "-f", file, "--module-path=" + p.syslogNGModules,
		"-R", in("persist"), "-p", in("syslog-ng.pid"), "-c", in("ctl"), "--no-caps", "--stderr",
	}
	return &Daemon{Dir: dir, Ports: ports, args: args, env: p.environment()}, nil
}

// Start runs the daemon and waits until it listens.
func (d *Daemon) Start() error {
	log, err := os.OpenFile(filepath.Join(d.Dir, "daemon.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start %s: %w", d.args[0], err)
	}
	defer log.Close()
	_ = os.Remove(filepath.Join(d.Dir, "rsyslog.pid")) // left by one that was killed, it would stop the next
	d.cmd = exec.Command(d.args[0], d.args[1:]...)
	d.cmd.Dir, d.cmd.Env, d.cmd.Stdout, d.cmd.Stderr = d.Dir, d.env, log, log
	if err := d.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", d.args[0], err)
	}
	cmd, exited := d.cmd, make(chan struct{})
	d.exited = exited
	go func() { // ends with the daemon
		_ = cmd.Wait() // how it ended is in its log
		close(exited)
	}()
	deadline := time.Now().Add(patience)
	for !d.listens() {
		if d.Exited() || time.Now().After(deadline) {
			return fmt.Errorf("start %s: ended: %v, it does not listen on %v: %s", d.args[0], d.Exited(), d.Ports, d.Log())
		}
		time.Sleep(10 * time.Millisecond) // a poll
	}
	return nil
}

// Exited tells whether the daemon has ended.
func (d *Daemon) Exited() bool {
	select {
	case <-d.exited:
		return true
	default:
		return false
	}
}

// Signal sends sig to the daemon.
func (d *Daemon) Signal(sig syscall.Signal) error { return d.cmd.Process.Signal(sig) }

// Stop ends the daemon as an administrator does and waits for its end.
func (d *Daemon) Stop() error { return d.end(syscall.SIGTERM) }

// Kill ends the daemon as kill -9 does and waits for its end.
func (d *Daemon) Kill() error { return d.end(syscall.SIGKILL) }

func (d *Daemon) end(sig syscall.Signal) error {
	if d.cmd == nil {
		return nil
	}
	if err := d.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end %s: %w", d.args[0], err)
	}
	select {
	case <-d.exited:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("end %s: it still runs after %v", d.args[0], patience)
	}
}

// Log is what the daemon said.
func (d *Daemon) Log() string {
	text, err := os.ReadFile(filepath.Join(d.Dir, "daemon.log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// listens tells whether every port is there. It looks at the system's tables, so that
// no receiver gets a connection that nobody meant.
func (d *Daemon) listens() bool {
	for _, port := range d.Ports {
		protocol, number, _ := strings.Cut(port, ":")
		n, err := strconv.Atoi(number)
		if err != nil {
			return false
		}
		const listening, bound = "0A", "07"
		state := listening
		if protocol == "udp" {
			state = bound
		}
		if !inTable("/proc/net/"+protocol, n, state) && !inTable("/proc/net/"+protocol+"6", n, state) {
			return false
		}
	}
	return true
}

// inTable looks for a local port in a state: proc(5), the columns sl, local_address,
// rem_address and st.
func inTable(path string, port int, state string) bool {
	text, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	suffix := fmt.Sprintf(":%04X", port)
	for line := range strings.Lines(string(text)) {
		columns := strings.Fields(line)
		if len(columns) > 3 && strings.HasSuffix(columns[1], suffix) && columns[3] == state {
			return true
		}
	}
	return false
}

// FreePort returns a loopback port that nothing listens on, for TCP and for UDP.
func FreePort() (int, error) {
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		port := l.Addr().(*net.TCPAddr).Port
		u, err := net.ListenPacket("udp", l.Addr().String())
		l.Close()
		if err != nil {
			continue
		}
		return port, u.Close()
	}
}
