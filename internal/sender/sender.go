// Package sender behaves as Defense.com does when it delivers a webhook: one
// POST with a JSON body and basic authentication on a new connection, and up to
// five retries with growing waits when the answer is not 2xx.
//
// It guarantees that Send tells every attempt and its answer. It refuses to know
// what a body says. The vendor documents the retries in its webhook reference
// ("roughly one minute before the first retry, two minutes before the second,
// and so on").
package sender

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// MaxRetries is how often the vendor tries again.
const MaxRetries = 5

// Wait is the vendor's wait before the n-th retry, counted from 1.
func Wait(n int) time.Duration { return time.Duration(n) * time.Minute }

// Options say where webhooks go.
type Options struct {
	// URL is http:// or https://; the vendor takes https only.
	URL string
	// Username is empty when the endpoint has no login.
	Username, Password string
	// TLS may trust a certificate of one's own; nil is the system's trust.
	TLS *tls.Config
	// Direct passes by the proxy that the environment names.
	Direct bool
	// Retries is how often a delivery is tried again, MaxRetries for the vendor.
	Retries int
	// Speed divides the waits: 60 makes a minute a second. Below 1 counts as 1.
	Speed float64
	// Timeout bounds one attempt, 30 s if it is 0. The vendor tells no figure.
	Timeout time.Duration
	// Retrying is told of every wait before it begins; may be nil.
	Retrying func(last Attempt, wait time.Duration)
}

// Attempt is one POST and what became of it.
type Attempt struct {
	// Status is the HTTP status, 0 if no answer came.
	Status int
	// Answer is the beginning of the answer's body.
	Answer string
	// Err is why no answer came.
	Err  error
	Took time.Duration
}

// Accepted tells whether the sender takes the attempt for a success.
func (a Attempt) Accepted() bool { return a.Status >= 200 && a.Status < 300 }

// String gives the status and the answer, or the error.
func (a Attempt) String() string {
	if a.Err != nil {
		return a.Err.Error()
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", a.Status, a.Answer))
}

// Sender delivers webhooks. It may be used by several goroutines.
type Sender struct {
	o      Options
	client *http.Client
}

// ParseURL checks the URL of a webhook: https://, or http:// for a test without TLS,
// with a host and no login. Its errors show no password.
func ParseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		var e *url.Error
		if errors.As(err, &e) {
			err = e.Err // the whole tells the url, which may hold a password
		}
		return nil, fmt.Errorf("parse url: %w", err)
	}
	if u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return nil, fmt.Errorf("parse url %q: it must be https://HOST[:PORT]/PATH (http:// for a test without TLS)", u.Redacted())
	}
	if u.User != nil {
		return nil, errors.New("parse url: the login must not stand in the url, give user name and password on their own")
	}
	return u, nil
}

// New checks the options. It dials nothing.
func New(o Options) (*Sender, error) {
	if _, err := ParseURL(o.URL); err != nil {
		return nil, err
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	o.Speed = max(o.Speed, 1)
	proxy := http.ProxyFromEnvironment
	if o.Direct {
		proxy = nil
	}
	return &Sender{o: o, client: &http.Client{
		Timeout: o.Timeout,
		Transport: &http.Transport{
			Proxy:             proxy,
			TLSClientConfig:   o.TLS,
			DisableKeepAlives: true, // a webhook is rare: each comes on its own connection
		},
		// A redirect is an answer like any other that is not 2xx.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Send delivers one body and returns every attempt, the last of which is
// accepted unless all failed or ctx ended.
func (s *Sender) Send(ctx context.Context, body []byte) []Attempt {
	var attempts []Attempt
	for retry := 1; ; retry++ {
		a := s.post(ctx, body)
		attempts = append(attempts, a)
		if a.Accepted() || retry > s.o.Retries || ctx.Err() != nil {
			return attempts
		}
		wait := time.Duration(float64(Wait(retry)) / s.o.Speed)
		if s.o.Retrying != nil {
			s.o.Retrying(a, wait)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return attempts
		}
	}
}

func (s *Sender) post(ctx context.Context, body []byte) Attempt {
	began := time.Now()
	status, answer, err := s.exchange(ctx, body)
	return Attempt{Status: status, Answer: answer, Err: err, Took: time.Since(began)}
}

func (s *Sender) exchange(ctx context.Context, body []byte) (status int, answer string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.o.URL, bytes.NewReader(body))
	if err != nil {
		return 0, "", fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if s.o.Username != "" {
		req.SetBasicAuth(s.o.Username, s.o.Password)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	// The history in the vendor's account shows an answer; so do we, in short.
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err != nil && len(text) == 0 {
		text = []byte("(answer cut: " + err.Error() + ")")
	}
	return resp.StatusCode, strings.ToValidUTF8(string(text), "\uFFFD"), nil
}
