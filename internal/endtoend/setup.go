package endtoend

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Setup says what a rig's relay is configured with.
type Setup struct {
	Binary      string
	Serve       string   // what runs as the relay; empty: Binary
	Env         []string // what it has in its environment besides that of the test
	SpoolDir    string   // empty: a folder of the rig
	Plain       bool     // HTTP instead of HTTPS
	AdminTLS    bool     // HTTPS at the admin listener too, with the same certificate
	MaxSize     string   // of the spool; empty: 4GiB. A segment has an eighth of it
	Retention   string   // empty: 168h
	RetryWindow string   // empty: 60m
	Outputs     []Output
	Logins      int    // how many logins of the same user name there are; 0: one
	Receiver    string // YAML in the receiver's block, each line indented by two spaces
	Console     string // YAML in the admin block, each line indented by two spaces
	More        string // YAML at the end of the configuration
}

// Output is one output: a file, or one of another type whose receiver writes what it
// gets to a file.
type Output struct {
	Format    string // ecs or cef
	Name      string // empty: the format
	Path      string // the file; empty: one of the rig
	Type      string // empty: file
	Settings  string // YAML, the block of the type on one line; empty: the file at Path
	MaxEvents int    // in a batch; 0: 1000
	When      string // its filter; empty: none
	Start     string // where it begins; empty: now
}

// Configure changes the configuration. A process that runs does not notice.
func (r *Rig) Configure(change func(*Setup)) {
	r.tb.Helper()
	change(&r.Setup)
	for i := range r.Outputs {
		o := &r.Outputs[i]
		o.Name = or(o.Name, o.Format)
		o.Path = or(o.Path, filepath.Join(r.Dir, o.Name+".out"))
	}
	r.must(os.WriteFile(r.Config, []byte(r.yaml()), 0o600))
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

func (r *Rig) yaml() string {
	var b strings.Builder
	cert, key := r.CertificateFiles()
	b.WriteString("receiver:\n  listen: 127.0.0.1:0\n")
	if r.Plain {
		b.WriteString("  insecure_http: true\n")
	} else {
		fmt.Fprintf(&b, "  tls: {cert_file: %q, key_file: %q}\n", cert, key)
	}
	b.WriteString(r.Receiver)
	b.WriteString("  basic_auth:\n")
	for i, l := range r.Logins {
		fmt.Fprintf(&b, "    - {username: %s, password_file: %q}\n", l.Username, r.PasswordFile(i))
	}
	fmt.Fprintf(&b, "spool: {dir: %q, max_size: %s, min_free: 1MiB, retention: %s, retry_window: %s}\n",
		r.SpoolDir, or(r.MaxSize, "4GiB"), or(r.Retention, "168h"), or(r.RetryWindow, "60m"))
	b.WriteString("admin:\n  listen: 127.0.0.1:0\n")
	if r.AdminTLS {
		fmt.Fprintf(&b, "  tls: {cert_file: %q, key_file: %q}\n", cert, key)
	}
	b.WriteString(r.Console + "log: {format: json}\noutputs:\n")
	for _, o := range r.Outputs {
		fmt.Fprintf(&b, "  - name: %s\n    type: %s\n    format: %s\n    when: %q\n    start: %s\n", o.Name, or(o.Type, "file"), o.Format, o.When, or(o.Start, "now"))
		fmt.Fprintf(&b, "    batch: {max_events: %d, max_wait: 2ms}\n    retry: {min: 10ms, max: 250ms}\n", o.maxEvents())
		fmt.Fprintf(&b, "    %s: %s\n", or(o.Type, "file"), or(o.Settings, fmt.Sprintf("{path: %q, max_size: 0}", o.Path)))
	}
	b.WriteString(r.More)
	return b.String()
}

func (o Output) maxEvents() int {
	if o.MaxEvents == 0 {
		return 1000
	}
	return o.MaxEvents
}
