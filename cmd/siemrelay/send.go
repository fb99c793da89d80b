package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/siemrelay/siemrelay/internal/sender"
	"github.com/siemrelay/siemrelay/mappings"
)

func newSend(std streams) *cobra.Command {
	s := &sending{std: std}
	cmd := &cobra.Command{
		Use:   "send --url URL [FILE…]",
		Short: "Deliver webhooks as Defense.com does",
		Long: `Posts webhook bodies as Defense.com's sender does: HTTPS, basic authentication, a
new connection for each, and up to five retries, about 1, 2, 3, 4 and 5 minutes
apart, when the answer is not 2xx. Without a file it sends its built-in examples,
one of every kind (--sample picks some). A file holds one JSON object, an array of
objects, or objects one after the other (NDJSON), the webhook history of a
Defense.com account for example; "-" is standard input.

The password comes from --password-file or $SIEMRELAY_SEND_PASSWORD.

  siemrelay send --url https://siem.example.com:8443/webhooks/defense \
      --username defense --password-file /etc/siemrelay/webhook-password

Any of --connections, --new-connections, --rate, --duration, --count, --size and
--acknowledged makes it a load generator: it sends made-up new threats as fast as
they are answered, or at a rate, tries none of them twice, and tells how long the
answers took. Each is stored and delivered like any other: with --test they page
nobody.

  siemrelay send --url https://siem.example.com:8443/webhooks/defense \
      --username defense --password-file /etc/siemrelay/webhook-password \
      --test --connections 64 --duration 30s

Exit codes: 0 all were accepted, 1 some were not.`,
	}
	f := cmd.Flags()
	cmd.RunE = func(cmd *cobra.Command, files []string) error {
		if s.load.wanted(f) {
			return s.generate(cmd.Context(), f, files)
		}
		return s.run(cmd.Context(), files)
	}
	s.load.addFlags(f)
	f.StringVar(&s.o.URL, "url", "", "`URL` of the webhook")
	f.StringVar(&s.o.Username, "username", "", "`NAME` for basic authentication")
	f.StringVar(&s.passwordFile, "password-file", "", "`FILE` with the password")
	f.StringVar(&s.caFile, "ca-file", "", "`FILE` (PEM) with a certificate to trust, for a self-signed one")
	f.BoolVar(&s.insecure, "insecure-skip-verify", false, "don't check the certificate: anybody on the way can read the password")
	f.IntVar(&s.o.Retries, "retries", sender.MaxRetries, "`NUMBER` of retries")
	f.Float64Var(&s.o.Speed, "speed", 1, "`FACTOR` that shortens the waits: 60 makes a minute a second")
	f.DurationVar(&s.o.Timeout, "timeout", 30*time.Second, "`TIME` that one attempt may take")
	f.BoolVar(&s.test, "test", false, "mark them as tests (siemrelay_test: true), which page nobody")
	f.StringSliceVar(&s.samples, "sample", nil, "`NAMES` of built-in examples to send, any part of the name will do")
	f.BoolVar(&s.list, "list-samples", false, "list the built-in examples and send nothing")
	return cmd
}

type sending struct {
	std                  streams
	o                    sender.Options
	passwordFile, caFile string
	insecure, test, list bool
	samples              []string
	load                 loadFlags

	sender           *sender.Sender
	meter            *meter // nil: standard error is no terminal
	accepted, failed int
}

func (s *sending) run(ctx context.Context, files []string) error {
	chosen, err := chooseSamples(s.samples)
	if err != nil {
		return err
	}
	if s.list {
		for _, sample := range chosen {
			fmt.Fprintln(s.std.out, sample.Name)
		}
		return nil
	}
	if s.load.format != "text" {
		return &exitError{exitUsage, errors.New("-o is for a load only, see --connections")}
	}
	if err := s.prepare(files); err != nil {
		return err
	}
	s.meter = s.newMeter(files, chosen)
	if len(files) == 0 {
		for _, sample := range chosen {
			s.deliver(ctx, sample.Name, sample.Body)
		}
	} else if err := eachWebhook(files, s.std.in, func(place string, body []byte) error {
		s.deliver(ctx, place, body)
		return ctx.Err()
	}); err != nil {
		return err
	}
	s.meter.clear()
	fmt.Fprintf(s.std.out, "%s accepted, %d not\n", count(s.accepted, "webhook"), s.failed)
	if s.failed > 0 {
		return fmt.Errorf("%s not accepted", count(s.failed, "webhook"))
	}
	return ctx.Err()
}

func (s *sending) prepare(files []string) error {
	usage := func(format string, args ...any) error { return &exitError{exitUsage, fmt.Errorf(format, args...)} }
	switch {
	case s.o.URL == "":
		return usage("--url is missing: the webhook's URL, as https://siem.example.com:8443/webhooks/defense")
	case len(files) > 0 && len(s.samples) > 0:
		return usage("--sample and files don't go together")
	case s.caFile != "" && s.insecure:
		return usage("--ca-file and --insecure-skip-verify don't go together")
	case s.passwordFile != "" && s.o.Username == "":
		return usage("--password-file needs a --username")
	case s.o.Retries < 0:
		return usage("--retries %d: it must be 0 or more", s.o.Retries)
	case s.o.Speed < 1, math.IsNaN(s.o.Speed):
		return usage("--speed %v: it must be 1 or more", s.o.Speed)
	case s.o.Timeout <= 0:
		return usage("--timeout %v: it must be more than 0", s.o.Timeout)
	}
	s.o.Password = os.Getenv("SIEMRELAY_SEND_PASSWORD")
	if s.passwordFile != "" {
		b, err := os.ReadFile(s.passwordFile)
		if err != nil {
			return fmt.Errorf("read password: %w", err)
		}
		s.o.Password = strings.TrimRight(string(b), "\r\n")
	}
	if s.o.Username != "" && s.o.Password == "" {
		return usage("--username needs a password: --password-file, or $SIEMRELAY_SEND_PASSWORD")
	}
	s.o.TLS = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: s.insecure} //nolint:gosec // a flag that says so
	if s.caFile != "" {
		roots, err := trustOnly(s.caFile)
		if err != nil {
			return fmt.Errorf("read --ca-file: %w", err)
		}
		s.o.TLS.RootCAs = roots
	}
	s.o.Retrying = func(last sender.Attempt, wait time.Duration) {
		s.meter.clear()
		fmt.Fprintf(s.std.err, "  %s; trying again in %v\n", last, wait.Round(time.Millisecond))
		s.meter.draw()
	}
	var err error
	if s.sender, err = sender.New(s.o); err != nil {
		return &exitError{exitUsage, err}
	}
	return nil
}

// trustOnly returns the certificates of a PEM file as the ones to trust.
func trustOnly(name string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: no PEM certificate in it", name)
	}
	return roots, nil
}

// chooseSamples returns the built-in examples whose name has one of the parts,
// all of them if there is none.
func chooseSamples(parts []string) ([]mappings.Sample, error) {
	all := mappings.Samples()
	if len(parts) == 0 {
		return all, nil
	}
	var chosen []mappings.Sample
	for _, part := range parts {
		before := len(chosen)
		for _, sample := range all {
			if strings.Contains(sample.Name, part) {
				chosen = append(chosen, sample)
			}
		}
		if len(chosen) == before {
			return nil, &exitError{exitUsage, fmt.Errorf("--sample %q: no built-in example has that in its name, see --list-samples", part)}
		}
	}
	return chosen, nil
}

// newMeter counts what is to be sent. Standard input can be read only once, and what
// can't be read is an error in its turn: then only what is done is shown.
func (s *sending) newMeter(files []string, chosen []mappings.Sample) *meter {
	m := terminalMeter(s.std.err)
	switch {
	case m == nil:
		return nil
	case len(files) == 0:
		m.total = uint64(len(chosen))
	case slices.Contains(files, "-"):
	default:
		if eachWebhook(files, nil, func(string, []byte) error { m.total++; return nil }) != nil {
			m.total = 0
		}
	}
	return m
}

// deliver sends one webhook and reports its answer.
func (s *sending) deliver(ctx context.Context, name string, body []byte) {
	if s.test {
		body = markAsTest(body)
	}
	attempts := s.sender.Send(ctx, body)
	last := attempts[len(attempts)-1]
	word := "accepted"
	if last.Accepted() {
		s.accepted++
	} else {
		s.failed++
		word = "NOT ACCEPTED"
	}
	var took time.Duration
	for _, a := range attempts {
		took += a.Took
	}
	s.meter.clear()
	fmt.Fprintf(s.std.out, "%-38s %-12s %s, %v: %s\n", name, word, count(len(attempts), "attempt"), took.Round(time.Millisecond), last)
	s.meter.step()
}

// markAsTest adds the key that makes a webhook a test event. It goes to the end,
// because of equal keys the last one wins. A body that is no object is left as it
// is, for the receiver to refuse.
func markAsTest(body []byte) []byte {
	object, ok := bytes.CutSuffix(bytes.TrimSpace(body), []byte("}"))
	if !ok || !bytes.HasPrefix(object, []byte("{")) {
		return body
	}
	mark := `,"siemrelay_test":true}`
	if len(bytes.TrimSpace(object)) == len("{") {
		mark = mark[len(","):]
	}
	return slices.Concat(object, []byte(mark))
}
