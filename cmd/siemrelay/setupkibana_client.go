package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/siemrelay/siemrelay/mappings/kibana"
)

// kibanaClient speaks with one Kibana about one of its spaces.
type kibanaClient struct {
	base    *url.URL
	space   string // "" is the default one
	http    *http.Client
	auth    string
	secrets []string // what no text of ours may show
}

func (k *kibanaClient) loginKey(key string) {
	encoded := key
	if strings.Contains(key, ":") { // which base64 never has
		encoded = base64.StdEncoding.EncodeToString([]byte(key))
	}
	k.auth, k.secrets = "ApiKey "+encoded, []string{key, encoded}
}

func (k *kibanaClient) loginBasic(username, password string) {
	encoded := base64.StdEncoding.EncodeToString([]byte(username + ":" + password))
	k.auth, k.secrets = "Basic "+encoded, []string{password, encoded}
}

// Where things are imported. Both take a form with a file of NDJSON.
const (
	importObjectsPath = "/api/saved_objects/_import?overwrite=true"
	// Without overwrite: a rule that somebody has switched on stays on.
	importRulesPath = "/api/detection_engine/rules/_import"
)

// path is that of an API in the space.
func (k *kibanaClient) path(api string) string {
	if k.space != "" && k.space != "default" {
		return "/s/" + k.space + api
	}
	return api
}

func (k *kibanaClient) link(page string) string { return k.base.String() + k.path(page) }

func (k *kibanaClient) spaceName() string {
	if k.space == "" {
		return "default"
	}
	return k.space
}

// kibanaAnswer is a reply that was read to its end.
type kibanaAnswer struct {
	status int
	header http.Header
	body   []byte
}

// maxKibanaReply is far above what Kibana answers to a few objects.
const maxKibanaReply = 4 << 20

// send makes one request. The error is about the way there and back, never about a
// status, and ends the command with "unavailable".
func (k *kibanaClient) send(ctx context.Context, r *http.Request) (kibanaAnswer, error) {
	r = r.WithContext(ctx)
	r.Header.Set("Authorization", k.auth)
	r.Header.Set("kbn-xsrf", "siemrelay") // any value; without it Kibana takes a POST for a forgery
	r.Header.Set("Accept", "application/json")
	unavailable := func(err error) (kibanaAnswer, error) {
		if ctx.Err() != nil {
			return kibanaAnswer{}, context.Cause(ctx)
		}
		return kibanaAnswer{}, &exitError{exitUnavailable, fmt.Errorf("ask Kibana: %w", err)}
	}
	res, err := k.http.Do(r)
	if err != nil {
		return unavailable(explainKibanaTLS(err))
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxKibanaReply+1))
	if err != nil {
		return unavailable(fmt.Errorf("read the reply of %s: %w", r.URL.Path, err))
	}
	if len(b) > maxKibanaReply {
		return unavailable(fmt.Errorf("the reply of %s is larger than %d bytes: this is hardly Kibana", r.URL.Path, maxKibanaReply))
	}
	return kibanaAnswer{res.StatusCode, res.Header, b}, nil
}

// explainKibanaTLS says what to do about a certificate.
func explainKibanaTLS(err error) error {
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.As(err, &untrusted):
		return fmt.Errorf("%w: name its authority with --ca-file", err)
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"): // net/http has no type for it
		return fmt.Errorf("%w: there is no TLS; is it http:// in --url?", err)
	}
	return err
}

func (k *kibanaClient) get(ctx context.Context, path string) (kibanaAnswer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, k.base.String()+path, http.NoBody)
	if err != nil {
		return kibanaAnswer{}, fmt.Errorf("make a request for %s: %w", path, err)
	}
	return k.send(ctx, r)
}

// upload posts a file as a form does.
func (k *kibanaClient) upload(ctx context.Context, path, name string, file []byte) (kibanaAnswer, error) {
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("file", name)
	if err == nil {
		_, err = part.Write(file)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return kibanaAnswer{}, fmt.Errorf("make a form: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, k.base.String()+k.path(path), &form)
	if err != nil {
		return kibanaAnswer{}, fmt.Errorf("make a request for %s: %w", path, err)
	}
	r.Header.Set("Content-Type", w.FormDataContentType())
	return k.send(ctx, r)
}

// refusal is what a status other than 200 means, and nil for 200. needs says which
// privilege what was asked for takes.
func (k *kibanaClient) refusal(what string, a kibanaAnswer, needs string) error {
	said := k.clean(kibanaMessage(a.body))
	switch {
	case a.status == http.StatusOK:
		return nil
	case a.status == http.StatusUnauthorized:
		return fmt.Errorf("%s: Kibana does not know the login (401): %s", what, said)
	case a.status == http.StatusForbidden:
		return fmt.Errorf("%s: the login may not (403), it needs %s in the space %s: %s", what, needs, k.spaceName(), said)
	case a.status >= 300 && a.status < 400:
		return fmt.Errorf("%s: a redirect to %s: is that the address, or is the base path missing in --url?", what, k.clean(a.header.Get("Location")))
	case a.status == http.StatusRequestEntityTooLarge:
		return fmt.Errorf("%s: the file is too large (413): something before Kibana, or savedObjects.maxImportPayloadBytes, allows less than a megabyte", what)
	case a.status == http.StatusTooManyRequests || a.status >= 500:
		return &exitError{exitUnavailable, fmt.Errorf("%s: Kibana is not available (%d): %s", what, a.status, said)}
	}
	return fmt.Errorf("%s: Kibana refused (%d): %s", what, a.status, said)
}

// version asks who is there, and returns the version of a Kibana that will do.
func (k *kibanaClient) version(ctx context.Context) (string, error) {
	const what = "ask for the version"
	a, err := k.get(ctx, "/api/status")
	if err != nil {
		return "", err
	}
	var reply struct {
		Version struct{ Number string }
	}
	isJSON := json.Unmarshal(a.body, &reply) == nil
	switch {
	case a.header.Get("Osd-Name") != "":
		return "", fmt.Errorf("%s: this is OpenSearch Dashboards, which can't show Kibana's Lens charts; its own Discover finds the events, see docs/kibana.md", what)
	case a.header.Get("X-Elastic-Product") != "" && a.header.Get("Kbn-Name") == "":
		return "", fmt.Errorf("%s: this is Elasticsearch; Kibana has an address of its own, mostly with the port 5601", what)
	}
	if err := k.refusal(what, a, "any privilege"); err != nil {
		return "", err
	}
	if !isJSON || reply.Version.Number == "" {
		return "", fmt.Errorf("%s: what answers at %s/api/status is not Kibana: %s", what, k.base, k.clean(kibanaMessage(a.body)))
	}
	if older(reply.Version.Number, kibana.Oldest) {
		return "", fmt.Errorf("%s: Kibana %s is older than %s, the oldest that takes these saved objects", what, printable(reply.Version.Number), kibana.Oldest)
	}
	return reply.Version.Number, nil
}

// older compares versions by their first two numbers.
func older(version, than string) bool {
	a, b := strings.Split(version, "."), strings.Split(than, ".")
	for i := range 2 {
		if i >= len(a) {
			return true
		}
		x, err := strconv.Atoi(a[i])
		y, _ := strconv.Atoi(b[i]) // ours
		if err != nil || x != y {
			return err != nil || x < y
		}
	}
	return false
}

// checkSpace makes sure that the space is there: Kibana would import into one that is
// not, where nobody ever finds it.
func (k *kibanaClient) checkSpace(ctx context.Context) error {
	if k.space == "" || k.space == "default" {
		return nil
	}
	a, err := k.get(ctx, "/api/spaces/space/"+k.space)
	if err != nil {
		return err
	}
	what := "look up the space " + k.space
	if a.status == http.StatusNotFound {
		return fmt.Errorf("%s: there is none (404)", what)
	}
	return k.refusal(what, a, "a privilege")
}

// kibanaMessage is what an error says, or the text itself if it is none of Kibana's.
func kibanaMessage(reply []byte) string {
	var e struct{ Message string }
	if json.Unmarshal(reply, &e) == nil && e.Message != "" {
		return e.Message
	}
	return string(reply)
}

// clean makes a server's text fit for a terminal: short, one line, without secrets.
func (k *kibanaClient) clean(said string) string {
	for _, secret := range k.secrets {
		said = strings.ReplaceAll(said, secret, "***")
	}
	said = strings.Join(strings.Fields(said), " ")
	if r := []rune(said); len(r) > 400 {
		said = string(r[:400]) + "…"
	}
	if said == "" {
		return "it says nothing"
	}
	return printable(said)
}
