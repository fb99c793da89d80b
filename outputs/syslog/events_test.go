package syslog_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/receiver/receivertest"
	"github.com/siemrelay/siemrelay/mappings"
	"github.com/siemrelay/siemrelay/normalize"
	"github.com/siemrelay/siemrelay/outputs"
)

// bodies are webhooks: the samples, normalize's golden cases, and what the corpus of
// odd and hostile deliveries has in bodies of its own.
func bodies(tb testing.TB) [][]byte {
	tb.Helper()
	var all [][]byte
	for _, pattern := range []string{"../../mappings/samples/*.json", "../../normalize/testdata/golden/*/input.json"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) < 20 {
			tb.Fatalf("%d files of %s: %v", len(files), pattern, err)
		}
		for _, f := range files {
			all = append(all, read(tb, f))
		}
	}
	cases, err := receivertest.Cases()
	if err != nil {
		tb.Fatal(err)
	}
	for _, c := range cases {
		if c.Body != nil {
			all = append(all, []byte(*c.Body))
		}
		if c.BodyBase64 != nil {
			decoded, err := base64.StdEncoding.DecodeString(*c.BodyBase64)
			if err != nil {
				tb.Fatal(err)
			}
			all = append(all, decoded)
		}
		for _, b := range c.Bodies {
			all = append(all, []byte(b))
		}
	}
	return all
}

// events are the bodies as an output gets them in a format, each once.
func events(tb testing.TB, format string) []outputs.Message {
	tb.Helper()
	m, err := normalize.ParseMapping(mappings.File, mappings.Defensecom(), normalize.MappingOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	encode, err := normalize.NewEncoder(format, normalize.EncoderOptions{EventOriginal: true})
	if err != nil {
		tb.Fatal(err)
	}
	var all []outputs.Message
	var e normalize.Event
	known := map[string]bool{}
	for _, body := range bodies(tb) {
		if known[string(body)] {
			continue
		}
		known[string(body)] = true
		n := uint64(len(all) + 1)
		accepted := time.Date(2026, 6, 9, 9, 30, 4, int(n)*1000, time.UTC)
		m.Event(&e, normalize.Raw{ID: fmt.Sprintf("%032x", n), Sequence: n, Accepted: accepted, Body: body})
		all = append(all, outputs.Message{
			ID: e.ID, Key: strings.Clone(e.Key), Kind: e.Kind, Company: strings.Clone(e.Company), Dataset: e.Dataset, EventKind: e.EventKind,
			Trigger: e.Trigger, Accepted: accepted, Sequence: n, SyslogSeverity: e.SyslogSeverity,
			Body: bytes.Clone(encode(nil, &e)),
		})
	}
	if len(all) < 300 {
		tb.Fatalf("%d events only", len(all))
	}
	return all
}

// cefLine is a CEF line as its receiver has to understand it.
type cefLine struct {
	Header [7]string
	Keys   []string
	Values map[string]string
}

// parseCEF is a parser from the CEF standard, as strict as the strictest receiver: an
// escape that the standard does not name is an error.
func parseCEF(line string) (cefLine, error) {
	p := cefLine{Values: map[string]string{}}
	rest, found := strings.CutPrefix(line, "CEF:")
	if !found {
		return p, fmt.Errorf("no CEF: in front")
	}
	for i := range p.Header {
		field, after, err := cefField(rest, '|', `\|`)
		if err != nil {
			return p, fmt.Errorf("header field %d: %w", i, err)
		}
		p.Header[i], rest = field, after
	}
	key := ""
	for rest != "" {
		text, after, err := cefField(rest, '=', `\=n`)
		last := err != nil && !strings.Contains(err.Error(), "escape")
		if err != nil && !last {
			return p, err
		}
		if last {
			if text, err = cefUnescape(rest, `\=n`); err != nil {
				return p, err
			}
			after = ""
		}
		value, next := text, ""
		if !last {
			space := strings.LastIndexByte(text, ' ')
			value, next = text[:max(space, 0)], text[space+1:]
		}
		if key != "" {
			p.Values[key] = value
		} else if value != "" {
			return p, fmt.Errorf("text in front of the first key: %q", value)
		}
		if next != "" {
			if _, twice := p.Values[next]; twice || strings.ContainsFunc(next, func(r rune) bool { return !strings.ContainsRune(cefKeyRunes, r) }) {
				return p, fmt.Errorf("key %q is bad, or there twice", next)
			}
			p.Keys = append(p.Keys, next)
		}
		key, rest = next, after
	}
	return p, nil
}

const cefKeyRunes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// cefField returns what stands before an unescaped end, unescaped, and what is after.
func cefField(s string, end byte, escapes string) (field, rest string, err error) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case end:
			field, err := cefUnescape(s[:i], escapes)
			return field, s[i+1:], err
		}
	}
	return "", "", fmt.Errorf("no %q in %q", end, s)
}

func cefUnescape(s, escapes string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if i++; i == len(s) || !strings.Contains(escapes, s[i:i+1]) {
			return "", fmt.Errorf("bad escape in %q", s)
		}
		b.WriteString(strings.ReplaceAll(s[i:i+1], "n", "\n"))
	}
	return b.String(), nil
}
