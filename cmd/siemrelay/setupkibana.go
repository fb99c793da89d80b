package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/siemrelay/siemrelay/mappings/kibana"
)

// Where the command finds a login when no file is named.
const (
	kibanaKeyVariable      = "SIEMRELAY_KIBANA_API_KEY"
	kibanaPasswordVariable = "SIEMRELAY_KIBANA_PASSWORD" //nolint:gosec // a name
)

func newSetupKibana(std streams) *cobra.Command {
	s := &kibanaSetup{std: std}
	cmd := &cobra.Command{
		Use:   "kibana --url URL",
		Short: "Import data views, saved searches and the dashboard into Kibana",
		Long: `Imports two data views, the saved searches and the dashboard "Defense.com overview"
through Kibana's saved objects API, Kibana ` + kibana.Oldest + ` or later. The ids are fixed: doing it
again, with a newer siemrelay for example, replaces what is there, and adds nothing.
Who changes the dashboard saves it under another name.

With --rules it also imports two detection rules of Elastic Security (a new critical
threat; no event for a day), switched off. A rule that is there stays as it is.

It needs the Kibana privilege "Saved Objects Management: All" in the space, for
--rules "Security: All" as well. The login is an API key, from --api-key-file or
$` + kibanaKeyVariable + `, or a user name with a password, from --password-file or
$` + kibanaPasswordVariable + `.

  siemrelay setup kibana --url https://kibana.example.com:5601 --api-key-file key
  siemrelay setup kibana --dry-run >saved-objects.ndjson    # to import it by hand

Exit codes: 0 done, 1 Kibana refused, 64 wrong usage, 69 Kibana is unavailable.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return s.run(cmd.Context()) },
	}
	f := cmd.Flags()
	f.StringVar(&s.url, "url", "", "`URL` of Kibana, with its base path where it has one")
	f.StringVar(&s.space, "space", "", "`ID` of the space, the default one if empty")
	f.StringVar(&s.keyFile, "api-key-file", "", "`FILE` with the API key, as Kibana shows it or id:key")
	f.StringVar(&s.username, "username", "", "`NAME` of a user, instead of an API key")
	f.StringVar(&s.passwordFile, "password-file", "", "`FILE` with the user's password")
	f.StringVar(&s.caFile, "ca-file", "", "`FILE` (PEM) with the authority of Kibana's certificate")
	f.BoolVar(&s.insecure, "insecure-skip-verify", false, "don't check the certificate: anybody on the way can read the login")
	f.BoolVar(&s.rules, "rules", false, "import the detection rules too")
	f.BoolVar(&s.dryRun, "dry-run", false, "print what it would import, and ask nobody")
	f.DurationVar(&s.timeout, "timeout", time.Minute, "`TIME` that one request may take")
	return cmd
}

type kibanaSetup struct {
	std                  streams
	url, space           string
	keyFile              string
	username             string
	passwordFile, caFile string
	insecure, rules      bool
	dryRun               bool
	timeout              time.Duration
}

// spaceForm is what Kibana allows for a space's id.
var spaceForm = regexp.MustCompile(`^[a-z0-9_-]+$`)

func (s *kibanaSetup) run(ctx context.Context) error {
	if s.dryRun {
		return s.print()
	}
	k, err := s.client()
	if err != nil {
		return err
	}
	defer k.http.CloseIdleConnections()
	m := terminalMeter(s.std.err)
	defer m.clear()
	m.wait("Asking Kibana")
	version, err := k.version(ctx)
	if err != nil {
		return err
	}
	if err := k.checkSpace(ctx); err != nil {
		return err
	}
	m.clear()
	fmt.Fprintf(s.std.out, "Kibana %s at %s, space %s\n", printable(version), k.base, k.spaceName())
	m.wait("Importing data views, searches and the dashboard")
	imported, err := k.importObjects(ctx, kibana.SavedObjects())
	m.clear()
	for _, o := range imported {
		fmt.Fprintf(s.std.out, "%-12s %-42s %s\n", kindNames()[o.Type], printable(o.name()), o.became())
	}
	if err != nil {
		return err
	}
	if s.rules {
		m.wait("Importing detection rules")
		there, err := k.importRules(ctx, kibana.Rules())
		if err != nil {
			return err
		}
		m.clear()
		s.tellRules(there)
	}
	fmt.Fprintf(s.std.out, "Open %s\n", k.link("/app/dashboards#/view/"+dashboardID(imported)))
	return nil
}

// tellRules says what became of each rule; there are those that were there before.
func (s *kibanaSetup) tellRules(there map[string]bool) {
	for _, r := range ruleNames() {
		became := "imported, switched off"
		if there[r.ID] {
			became = "is there already and stays as it is"
		}
		fmt.Fprintf(s.std.out, "%-12s %-42s %s\n", "rule", r.Name, became)
	}
}

// print is the dry run: standard output is what Kibana's own import takes.
func (s *kibanaSetup) print() error {
	if err := s.usage(); err != nil {
		return err
	}
	k := kibanaClient{space: s.space}
	file, path := kibana.SavedObjects(), importObjectsPath
	say := func() error {
		fmt.Fprintf(s.std.err, "Would be sent: POST %s\n", k.path(path))
		if _, err := s.std.out.Write(file); err != nil {
			return fmt.Errorf("write the objects: %w", err)
		}
		return nil
	}
	err := say()
	if s.rules && err == nil {
		file, path = kibana.Rules(), importRulesPath
		err = say()
	}
	return err
}

func (s *kibanaSetup) usage() error {
	wrong := func(format string, args ...any) error { return &exitError{exitUsage, fmt.Errorf(format, args...)} }
	switch {
	case s.space != "" && !spaceForm.MatchString(s.space):
		return wrong("--space %q is no id of a space: a to z, 0 to 9, _ and -, as it stands in Kibana's addresses after /s/", s.space)
	case s.dryRun:
		return nil
	case s.url == "":
		return wrong("--url is missing: Kibana's address, as https://kibana.example.com:5601")
	case s.keyFile != "" && (s.username != "" || s.passwordFile != ""):
		return wrong("--api-key-file and --username don't go together")
	case s.passwordFile != "" && s.username == "":
		return wrong("--password-file needs a --username")
	case strings.Contains(s.username, ":"):
		return wrong("--username has a colon in it, which RFC 7617 does not allow")
	case s.caFile != "" && s.insecure:
		return wrong("--ca-file and --insecure-skip-verify don't go together")
	case s.timeout <= 0:
		return wrong("--timeout %v: it must be more than 0", s.timeout)
	}
	return nil
}

// client checks the flags and reads the files that they name. It dials nothing.
func (s *kibanaSetup) client() (*kibanaClient, error) {
	if err := s.usage(); err != nil {
		return nil, err
	}
	base, err := kibanaAddress(s.url)
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	k := &kibanaClient{base: base, space: s.space}
	if err := s.login(k); err != nil {
		return nil, err
	}
	settings := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: s.insecure} //nolint:gosec // a flag that says so
	if s.caFile != "" {
		if settings.RootCAs, err = trustOnly(s.caFile); err != nil {
			return nil, fmt.Errorf("read --ca-file: %w", err)
		}
	}
	k.http = &http.Client{
		Timeout:   s.timeout,
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: settings, ForceAttemptHTTP2: true},
		// A redirect means a wrong address, and where it leads gets no login.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if base.Scheme == "http" {
		fmt.Fprintln(s.std.err, "Warning: --url is without TLS, so the login is sent readable.")
	}
	return k, nil
}

func kibanaAddress(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "":
		return nil, errors.New("--url is no address; write https://kibana.example.com:5601")
	case u.User != nil:
		return nil, errors.New("--url has a user name in it; use --api-key-file, or --username and --password-file")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("--url has a query or a fragment; write https://kibana.example.com:5601")
	case strings.Contains(u.Path, "/app/") || strings.HasPrefix(u.Path, "/s/"):
		return nil, errors.New("--url is the address of a page; write it without /app and what follows, and name the space with --space")
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	return u, nil
}

// login sets what k sends of itself.
func (s *kibanaSetup) login(k *kibanaClient) error {
	if s.username != "" {
		password, err := secretOf(s.passwordFile, kibanaPasswordVariable)
		if err != nil {
			return fmt.Errorf("read --password-file: %w", err)
		}
		if password == "" {
			return &exitError{exitUsage, errors.New("--username needs a password: --password-file, or $" + kibanaPasswordVariable)}
		}
		k.loginBasic(s.username, password)
		return nil
	}
	key, err := secretOf(s.keyFile, kibanaKeyVariable)
	if err != nil {
		return fmt.Errorf("read --api-key-file: %w", err)
	}
	if key == "" {
		return &exitError{exitUsage, errors.New("a login is missing: --api-key-file or $" + kibanaKeyVariable + ", or --username with --password-file")}
	}
	k.loginKey(key)
	return nil
}

// secretOf reads one line from a file, or takes a variable if no file is named.
func secretOf(file, variable string) (string, error) {
	value := os.Getenv(variable)
	if file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		value = string(b)
		if strings.TrimSpace(value) == "" {
			return "", fmt.Errorf("%s is empty", file)
		}
	}
	value = strings.TrimRight(value, "\r\n")
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", errors.New("it has more than one line, or control characters in it")
	}
	return value, nil
}
