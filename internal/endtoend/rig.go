package endtoend

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Secret is in every password of the tests, so that one search finds a password
// where none may be.
const Secret = "swordfish"

// Rig is the home of one relay: its configuration and all of its files.
// Processes run in it one after the other. When the test ends, the last one is
// killed if it still runs, and everything that any of them wrote to its log is
// searched for passwords, panics, data races and lines that are not JSON.
type Rig struct {
	Setup
	Dir         string
	Config      string // path of the configuration file
	Certificate Certificate
	Logins      []Login

	tb        testing.TB
	processes []*Process
	serving   Serving
}

// NewRig writes the configuration and what it names.
func NewRig(tb testing.TB, s Setup) *Rig {
	tb.Helper()
	s.Outputs = slices.Clone(s.Outputs)
	r := &Rig{Setup: s, Dir: tb.TempDir(), tb: tb}
	r.Config = filepath.Join(r.Dir, "siemrelay.yaml")
	if r.SpoolDir == "" {
		r.SpoolDir = filepath.Join(r.Dir, "spool")
	}
	for i := range max(s.Logins, 1) {
		l := Login{"defense", fmt.Sprintf("%s:%d %x", Secret, i, time.Now().UnixNano())}
		r.Logins = append(r.Logins, l)
		r.must(Replace(r.PasswordFile(i), []byte(l.Password+"\n")))
	}
	var err error
	r.Certificate, err = NewCertificate()
	r.must(err)
	r.must(r.Certificate.Write(r.CertificateFiles()))
	r.Configure(func(*Setup) {})
	tb.Cleanup(r.close)
	return r
}

// PasswordFile is where the i-th login's password stands.
func (r *Rig) PasswordFile(i int) string {
	return filepath.Join(r.Dir, fmt.Sprintf("password-%d", i))
}

// CertificateFiles are where the certificate and its key stand.
func (r *Rig) CertificateFiles() (cert, key string) {
	return filepath.Join(r.Dir, "tls.crt"), filepath.Join(r.Dir, "tls.key")
}

// Launch starts a process and does not wait for it. The one before must have ended.
func (r *Rig) Launch() *Process {
	r.tb.Helper()
	binary := r.Serve
	if binary == "" {
		binary = r.Binary
	}
	p, err := Launch(LaunchOptions{
		Binary: binary, Dir: r.Dir, Env: append(os.Environ(), r.Env...), Args: []string{"serve", "-c", r.Config},
		Log: filepath.Join(r.Dir, fmt.Sprintf("log-%03d", len(r.processes))),
	})
	r.must(err)
	r.processes = append(r.processes, p)
	return p
}

// Start starts a process and waits until it receives webhooks.
func (r *Rig) Start() *Process {
	r.tb.Helper()
	p, err := r.TryStart()
	r.must(err)
	return p
}

// TryStart is Start for a process that may end before it receives webhooks.
func (r *Rig) TryStart() (p *Process, err error) {
	r.tb.Helper()
	p = r.Launch()
	r.serving, err = p.AwaitServing()
	return p, err
}

// Log is what all processes have written to their logs.
func (r *Rig) Log() string {
	var b strings.Builder
	for _, p := range r.processes {
		b.WriteString(p.Log())
	}
	return b.String()
}

// Serving is what the process that was started last said about itself.
func (r *Rig) Serving() Serving { return r.serving }

// Stop sends SIGTERM to the process, which has to end well.
func (r *Rig) Stop(p *Process) {
	r.tb.Helper()
	r.must(p.Signal(syscall.SIGTERM))
	code, err := p.AwaitExit()
	r.must(err)
	if code != 0 {
		r.tb.Fatalf("exit code %d after SIGTERM, log:\n%s", code, p.Log())
	}
}

// Client returns a client with the first login that knows the door.
func (r *Rig) Client() *Client {
	c := &Client{Address: r.serving.Address, Login: r.Logins[0]}
	if !r.Plain {
		c.TLS = r.Certificate.Client()
	}
	r.tb.Cleanup(c.Close)
	return c
}

// Admin gets a page of the admin listener and returns its status and text, in
// which no password may be.
func (r *Rig) Admin(path string) (int, string) {
	r.tb.Helper()
	transport, scheme := &http.Transport{DisableKeepAlives: true}, "http://"
	if r.AdminTLS {
		transport.TLSClientConfig, scheme = r.Certificate.Client(), "https://"
	}
	client := &http.Client{Transport: transport, Timeout: Patience}
	response, err := client.Get(scheme + r.serving.Admin + path)
	r.must(err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	r.must(err)
	for _, leak := range r.Leaks(string(text)) {
		r.tb.Errorf("%s shows a password: %s", path, leak)
	}
	return response.StatusCode, string(text)
}

// Leaks returns the lines of text that hold a password or a login.
func (r *Rig) Leaks(text string) []string {
	secrets := []string{Secret}
	for _, l := range r.Logins {
		secrets = append(secrets, l.Token())
	}
	var leaks []string
	for line := range strings.Lines(text) {
		for _, s := range secrets {
			if strings.Contains(line, s) {
				leaks = append(leaks, line)
			}
		}
	}
	return leaks
}

// Pending is how many events each output has before it, as the metrics tell it.
func (r *Rig) Pending() map[string]string {
	r.tb.Helper()
	_, text := r.Admin("/metrics")
	pending := map[string]string{}
	for line := range strings.Lines(text) {
		labels, value, ok := strings.Cut(line, " ")
		if ok && strings.HasPrefix(line, "siemrelay_output_events{") && strings.Contains(line, `state="pending"`) {
			pending[strings.Split(labels, `"`)[1]] = strings.TrimSpace(value)
		}
	}
	return pending
}

// AwaitDrained waits until no output has an event before it any more.
func (r *Rig) AwaitDrained() {
	r.tb.Helper()
	r.Eventually("everything is delivered", func() bool {
		pending := r.Pending()
		for _, o := range r.Outputs {
			if pending[o.Name] != "0" {
				return false
			}
		}
		return true
	})
}

// Eventually waits until ok holds.
func (r *Rig) Eventually(what string, ok func() bool) {
	r.tb.Helper()
	deadline := time.Now().Add(Patience)
	for !ok() {
		if time.Now().After(deadline) {
			r.tb.Fatalf("waited in vain until %s; log:\n%s", what, r.processes[len(r.processes)-1].Log())
		}
		time.Sleep(5 * time.Millisecond) // a poll, nothing is concluded from it
	}
}

func (r *Rig) must(err error) {
	r.tb.Helper()
	if err != nil {
		r.tb.Fatal(err)
	}
}

func (r *Rig) close() {
	for i, p := range r.processes {
		if err := p.Kill(); err != nil {
			r.tb.Error(err)
		}
		for _, problem := range r.logProblems([]byte(p.Log())) {
			r.tb.Errorf("log of process %d: %s", i, problem)
		}
	}
}

func (r *Rig) logProblems(log []byte) []string {
	var problems []string
	for _, leak := range r.Leaks(string(log)) {
		problems = append(problems, "a password: "+leak)
	}
	for _, word := range []string{"panic", "DATA RACE", "fatal error"} {
		if bytes.Contains(log, []byte(word)) {
			problems = append(problems, word+":\n"+string(log))
		}
	}
	for line := range bytes.Lines(log) {
		last := bytes.HasPrefix(line, []byte("siemrelay: "))                   // what main says when it ends badly
		if bytes.HasSuffix(line, []byte("\n")) && !json.Valid(line) && !last { // a kill may have torn the last one
			problems = append(problems, fmt.Sprintf("a line that is not JSON: %q", line))
		}
	}
	return problems
}

// Skip skips a test that this machine can't run, and fails it where the
// environment variable CI is set: there every test has to run.
func Skip(tb testing.TB, why error) {
	tb.Helper()
	if os.Getenv("CI") != "" {
		tb.Fatalf("this test must run where CI is set: %v", why)
	}
	fmt.Fprintf(os.Stderr, "!!! %s IS SKIPPED: %v\n", tb.Name(), why)
	tb.Skip(why)
}

var errNotRoot = errors.New("it needs root to mount file systems")
