// Package receivertest sends odd and hostile deliveries to a receiver, byte for
// byte as they are written down in its corpus, and says what came back.
//
// It guarantees that a delivery is sent exactly as described, over TLS or not,
// and that every answer on the connection is seen, also one that should not be
// there. It refuses to know the receiver: it works against any address, in this
// process or another. Only tests import it.
package receivertest

import (
	"bufio"
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

//go:embed testdata/odd-webhooks.jsonl
var corpus []byte

// Case is one line of the corpus. It has exactly one of Raw, Body, BodyBase64,
// BodyGenerated and Bodies. Headers, Path and Raw may hold the placeholders
// that Target.expand knows.
type Case struct {
	Name     string `json:"name"`
	Group    string `json:"group"`
	Policy   string `json:"policy"` // whose rule it is: vendor, http, design or open
	RecordID string `json:"record_id"`
	// RecordIDs are given where a case is about several records.
	RecordIDs []string `json:"record_ids"`

	Method   string            `json:"method"` // POST if empty
	Path     string            `json:"path"`   // $PATH if empty
	Headers  map[string]string `json:"headers"`
	Transfer string            `json:"transfer"` // "chunked", or a Content-Length is sent
	Repeat   int               `json:"repeat"`   // how often it is sent, one after the other
	Parallel int               `json:"parallel"` // how often it is sent, all at once

	Body          *string    `json:"body"`
	BodyBase64    *string    `json:"body_b64"`
	BodyGenerated *Generator `json:"body_gen"`
	Bodies        []string   `json:"bodies"` // several deliveries
	Raw           *string    `json:"raw"`    // the whole request, or several

	HalfClose bool `json:"half_close"` // the client ends its side once all is sent

	ExpectStatusClass string `json:"expect_status_class"` // "4xx", "2xx|4xx", "4xx|closed"
	ExpectStatuses    []int  `json:"expect_statuses"`     // every answer on the connection, if given
	Expect            string `json:"expect"`              // for people
	Check             Check  `json:"check"`
	// Marker is a text by which the event can be found in outputs, where its
	// record id is not usable.
	Marker string `json:"marker"`
}

// Check is what must hold afterwards, as far as it concerns the receiver;
// All has every check, for those who also look at outputs.
type Check struct {
	Delivered    *int `json:"delivered"`
	DeliveredMax *int `json:"delivered_max"`
	MaxMS        int  `json:"max_ms"`
	Closed       bool `json:"conn_closed"`
	// Smuggled is 0 where exactly one answer may come, and nothing may be
	// executed that stands behind the request.
	Smuggled *int `json:"smuggled_requests"`

	All map[string]json.RawMessage `json:"-"`
}

// UnmarshalJSON keeps every check in All beside those with a field.
func (c *Check) UnmarshalJSON(b []byte) error {
	type plain Check
	if err := json.Unmarshal(b, (*plain)(c)); err != nil {
		return err
	}
	return json.Unmarshal(b, &c.All)
}

// Generator describes a body that is too large or too dull to write down:
// segments of a text and how often it is repeated. $i is replaced by the index
// of the repetition.
type Generator struct {
	Segments []Segment `json:"segments"`
	Gzip     bool      `json:"gzip"`
}

// Segment is a JSON array of a text and a count.
type Segment struct {
	Text  string
	Count int
}

// UnmarshalJSON reads ["text", 3].
func (s *Segment) UnmarshalJSON(b []byte) error {
	pair := []any{&s.Text, &s.Count}
	return json.Unmarshal(b, &pair)
}

// Cases returns the corpus.
func Cases() ([]Case, error) {
	var cases []Case
	names := map[string]bool{}
	lines := bufio.NewScanner(bytes.NewReader(corpus))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c Case
		decoder := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		if err := decoder.Decode(&c); err != nil {
			return nil, fmt.Errorf("read corpus line %d: %w", len(cases)+1, err)
		}
		if err := c.validate(); err != nil {
			return nil, fmt.Errorf("check case %q: %w", c.Name, err)
		}
		if names[c.Name] {
			return nil, fmt.Errorf("check case %q: there are two of that name", c.Name)
		}
		names[c.Name] = true
		cases = append(cases, c)
	}
	return cases, lines.Err()
}

func (c *Case) validate() error {
	given := 0
	for _, has := range []bool{c.Body != nil, c.BodyBase64 != nil, c.BodyGenerated != nil, c.Bodies != nil, c.Raw != nil} {
		if has {
			given++
		}
	}
	if given != 1 {
		return fmt.Errorf("it has %d bodies, not 1", given)
	}
	if c.ExpectStatusClass == "" {
		return fmt.Errorf("expect_status_class is missing")
	}
	if c.BodyGenerated != nil && len(c.BodyGenerated.Segments) == 0 {
		return fmt.Errorf("body_gen has no segments")
	}
	return nil
}

// Payloads returns the bodies as they go on the wire; none for a raw case.
func (c *Case) Payloads() ([][]byte, error) {
	switch {
	case c.Body != nil:
		return [][]byte{[]byte(*c.Body)}, nil
	case c.BodyBase64 != nil:
		b, err := base64.StdEncoding.DecodeString(*c.BodyBase64)
		return [][]byte{b}, err
	case c.BodyGenerated != nil:
		b, err := c.BodyGenerated.generate()
		return [][]byte{b}, err
	}
	var all [][]byte
	for _, b := range c.Bodies {
		all = append(all, []byte(b))
	}
	return all, nil
}

func (g *Generator) generate() ([]byte, error) {
	var out bytes.Buffer
	var to io.Writer = &out
	if g.Gzip {
		z, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
		if err != nil {
			return nil, err
		}
		defer z.Close()
		to = z
	}
	for _, s := range g.Segments {
		if err := s.write(to); err != nil {
			return nil, err
		}
	}
	if z, ok := to.(*gzip.Writer); ok {
		if err := z.Close(); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

func (s Segment) write(to io.Writer) error {
	if !strings.Contains(s.Text, "$i") {
		_, err := io.WriteString(to, strings.Repeat(s.Text, s.Count))
		return err
	}
	for i := range s.Count {
		if _, err := io.WriteString(to, strings.ReplaceAll(s.Text, "$i", strconv.Itoa(i))); err != nil {
			return err
		}
	}
	return nil
}

// Requests returns the bytes of every delivery of the case, each for a
// connection of its own, without Repeat and Parallel.
func (c *Case) Requests(t Target) ([][]byte, error) {
	if c.Raw != nil {
		raw, err := t.expand(*c.Raw)
		return [][]byte{[]byte(raw)}, err
	}
	payloads, err := c.Payloads()
	if err != nil {
		return nil, err
	}
	var all [][]byte
	for _, p := range payloads {
		head, err := c.head(t, len(p))
		if err != nil {
			return nil, err
		}
		all = append(all, append(head, c.framed(p)...))
	}
	return all, nil
}

// head is the request line and the header fields, in the order of their names.
func (c *Case) head(t Target, length int) ([]byte, error) {
	method, path := c.Method, c.Path
	if method == "" {
		method = "POST"
	}
	if path == "" {
		path = "$PATH"
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s HTTP/1.1\r\nHost: $HOST\r\n", method, path)
	var names []string
	for name := range c.Headers {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&text, "%s: %s\r\n", name, c.Headers[name])
	}
	if c.Transfer == "chunked" {
		text.WriteString("Transfer-Encoding: chunked\r\n\r\n")
	} else {
		fmt.Fprintf(&text, "Content-Length: %d\r\n\r\n", length)
	}
	expanded, err := t.expand(text.String())
	return []byte(expanded), err
}

// framed is the body as it follows the head.
func (c *Case) framed(payload []byte) []byte {
	if c.Transfer != "chunked" {
		return payload
	}
	var out bytes.Buffer
	for chunk := range slices.Chunk(payload, 1000) {
		fmt.Fprintf(&out, "%x\r\n%s\r\n", len(chunk), chunk)
	}
	out.WriteString("0\r\n\r\n")
	return out.Bytes()
}

var placeholder = regexp.MustCompile(`\$(AUTH|PATH|HOST|USER|PASS)[A-Z_]*`)

// expand replaces the placeholders. An unknown one is an error: a case that
// sends it as it is would prove nothing.
func (t Target) expand(text string) (string, error) {
	basic := func(user, password string) string {
		return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	}
	values := map[string]string{
		"$AUTH":              "Basic " + basic(t.Username, t.Password),
		"$AUTH_TOKEN":        basic(t.Username, t.Password),
		"$AUTH_LOWER_SCHEME": "basic " + basic(t.Username, t.Password),
		"$AUTH_BADUSER":      "Basic " + basic("x"+t.Username, t.Password),
		"$AUTH_BADPASS":      "Basic " + basic(t.Username, t.Password+"x"),
		"$AUTH_SHORTPASS":    "Basic " + basic(t.Username, t.Password[:max(len(t.Password)-1, 0)]),
		"$AUTH_UPPERUSER":    "Basic " + basic(strings.ToUpper(t.Username), t.Password),
		"$AUTH_NOPASS":       "Basic " + basic(t.Username, ""),
		"$PATH":              t.Path,
		"$HOST":              t.Host,
		"$USER":              t.Username,
		"$PASS":              t.Password,
	}
	var unknown string
	text = placeholder.ReplaceAllStringFunc(text, func(name string) string {
		v, ok := values[name]
		if !ok {
			unknown = name
		}
		return v
	})
	if unknown != "" {
		return "", fmt.Errorf("expand placeholder %s: it is not known", unknown)
	}
	return text, nil
}
