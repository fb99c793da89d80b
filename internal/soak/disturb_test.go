package soak_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// disturbance is one fault: begin makes it, and what that returns ends it.
type disturbance struct {
	name  string
	begin func() (end func())
}

func (s *soak) disturbances() []disturbance {
	return []disturbance{
		{"Elasticsearch is down", func() func() {
			s.search.Down()
			return func() { s.must(s.search.Up()) }
		}},
		{"the RELP receiver is stopped", func() func() {
			s.must(s.relp.cmd.Process.Signal(syscall.SIGSTOP))
			return func() { s.must(s.relp.cmd.Process.Signal(syscall.SIGCONT)) }
		}},
		{"the RELP receiver restarts", func() func() {
			s.relp.stop()
			return s.relp.start
		}},
		{"the output's disk is full", func() func() { s.archive.Fill(); return s.archive.Free }},
		{"the spool's disk is full", func() func() { s.spool.Fill(); return s.spool.Free }},
		{"bad clients", s.badClients},
		{"a new certificate", func() func() {
			s.must(s.other.Write(s.CertificateFiles()))
			return func() { s.must(s.Certificate.Write(s.CertificateFiles())) }
		}},
		{"a replay", func() func() {
			for _, o := range s.Outputs {
				// One that is under way is a reason to refuse another.
				if ran := s.Run("replay", "--output", o.Name, "--since", "10s", "--yes"); ran.Code != 0 && !strings.Contains(ran.Err, "replay") {
					s.t.Errorf("replay of %s: %s%s", o.Name, ran.Out, ran.Err)
				}
			}
			return func() {}
		}},
	}
}

// badClients stall, guess, and send what is no JSON.
func (s *soak) badClients() func() {
	var open []net.Conn
	for i := range 100 {
		c, err := net.Dial("tcp", s.Serving().Address)
		s.must(err)
		open = append(open, c)
		if i%2 == 0 {
			_, err = io.WriteString(c, "\x16\x03\x01\x02")
			s.must(err)
		}
	}
	for i := range 20 {
		c := s.client()
		c.Login.Password += "?"
		if a, err := c.Post([]byte("{}")); err == nil && a.Status != 401 && a.Status != 429 {
			s.t.Errorf("a wrong password got %+v", a)
		}
		c.Login = s.Logins[0]
		if a, err := c.Post(fmt.Appendf(nil, "no JSON %d", i)); err == nil && a.Status != 400 {
			s.t.Errorf("what is no JSON got %+v", a)
		}
		c.Close()
	}
	return func() {
		for _, c := range open {
			c.Close()
		}
	}
}

func (s *soak) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// outsideSink is a receiver of RELP in a process of its own.
type outsideSink struct {
	t       *testing.T
	base    string
	paths   []string // a file for each process
	address string
	cmd     *exec.Cmd
	stdin   io.Closer
}

func startOutsideSink(t *testing.T, base string) *outsideSink {
	t.Helper()
	s := &outsideSink{t: t, base: base}
	s.start()
	t.Cleanup(s.stop)
	return s
}

// start starts a process, on the address of the one before if there was one.
func (s *outsideSink) start() {
	s.t.Helper()
	path := fmt.Sprintf("%s-%d", s.base, len(s.paths))
	s.cmd = exec.Command(os.Args[0])
	s.cmd.Env = append(os.Environ(), sinkFile+"="+path, sinkAddress+"="+s.address)
	s.cmd.Stderr = os.Stderr
	stdin, err := s.cmd.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		s.t.Fatalf("start a receiver of RELP: %v", err)
	}
	s.stdin, s.address, s.paths = stdin, strings.TrimSpace(line), append(s.paths, path)
}

// stop ends the process, which has taken what it confirmed.
func (s *outsideSink) stop() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGCONT) // a test that failed may have left it stopped
	s.stdin.Close()
	if err := s.cmd.Wait(); err != nil {
		s.t.Errorf("end the receiver of RELP: %v", err)
	}
	s.cmd = nil
}

func (s *outsideSink) output(name string, maxEvents int) endtoend.Output {
	return endtoend.Output{
		Name: name, Format: "cef", Path: s.paths[0], MaxEvents: maxEvents, Type: "syslog",
		Settings: fmt.Sprintf("{address: %q, timeout: 5s}", "relp://"+s.address),
	}
}
