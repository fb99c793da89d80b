package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/normalize"
)

func newConvert(std streams) *cobra.Command {
	c := &converter{std: std}
	cmd := &cobra.Command{
		Use:   "convert --to ecs|cef [FILE…]",
		Short: "Turn webhook bodies into records, without a relay",
		Long: `Reads webhook bodies and writes one record a line to standard output. A file holds
one JSON object, an array of objects, or objects one after the other (NDJSON).
Without a file, and for "-", it reads standard input.

An event's id comes from its body and its position, so the same input gives the
same ids; with --received the whole output is the same.

With --mapping a mapping file can be tried before it goes live: it is merged over
the built-in mapping, as the configuration's "mappings" are. The option may be given
several times. A mistake in a file ends with exit code 78.

  siemrelay convert --to cef webhook.json
  siemrelay convert --to ecs --received 2026-06-19T09:30:04Z history.ndjson
  siemrelay convert --to ecs --mapping mapping.yaml webhook.json`,
		RunE: func(_ *cobra.Command, files []string) error { return c.run(files) },
	}
	cmd.Flags().StringVar(&c.format, "to", "", "`FORMAT` of the records: "+strings.Join(normalize.Formats(), ", "))
	cmd.Flags().StringVar(&c.received, "received", "", "`TIME` of receipt, RFC 3339 (default: now)")
	cmd.Flags().StringSliceVar(&c.linkHosts, "link-hosts", config.Default().LinkHosts, "`HOSTS` that may become links")
	cmd.Flags().StringArrayVar(&c.mappings, "mapping", nil, "mapping `FILE` to merge over the built-in one")
	cmd.Flags().BoolVar(&c.original, "event-original", true, "write the raw body to event.original")
	return cmd
}

type converter struct {
	std       streams
	format    string
	received  string
	linkHosts []string
	mappings  []string
	original  bool

	mapping *normalize.Mapping
	encode  normalize.Encoder
	at      time.Time
	event   normalize.Event
	n       uint64
	line    []byte
	refused int
}

func (c *converter) run(files []string) error {
	if c.format == "" {
		return &exitError{exitUsage, fmt.Errorf("--to is missing: %s", strings.Join(normalize.Formats(), " or "))}
	}
	var err error
	if c.at = time.Now(); c.received != "" {
		if c.at, err = time.Parse(time.RFC3339Nano, c.received); err != nil {
			return &exitError{exitUsage, fmt.Errorf("parse --received %q: it must be RFC 3339, as 2026-06-19T09:30:04Z", c.received)}
		}
	}
	if err := c.loadMapping(); err != nil {
		return err
	}
	c.encode, err = normalize.NewEncoder(c.format, normalize.EncoderOptions{
		AgentVersion: version, Namespace: namespace, EventOriginal: c.original,
	})
	if err != nil {
		return &exitError{exitUsage, fmt.Errorf("--to: %w", err)}
	}
	if len(files) == 0 {
		files = []string{"-"}
	}
	out := bufio.NewWriterSize(c.std.out, 64<<10)
	err = eachWebhook(files, c.std.in, func(place string, body []byte) error { return c.write(out, place, body) })
	if flushErr := out.Flush(); err == nil && flushErr != nil {
		err = fmt.Errorf("write records: %w", flushErr)
	}
	if err == nil && c.refused > 0 {
		err = fmt.Errorf("%d of %s refused: a webhook is a JSON object", c.refused, count(c.n, "input"))
	}
	return err
}

// loadMapping merges the files of --mapping over the built-in mapping.
func (c *converter) loadMapping() (err error) {
	o := normalize.MappingOptions{LinkHosts: c.linkHosts}
	if c.mapping, err = mergedMapping(nil, o); err != nil {
		return &exitError{exitUsage, fmt.Errorf("--link-hosts: %w", err)}
	}
	var files []normalize.MappingFile
	mistakes := &config.Errors{}
	for _, path := range c.mappings {
		data, err := readMappingFile(path)
		if err != nil {
			mistakes.Mistakes = append(mistakes.Mistakes, config.Mistake{File: path, Text: fmt.Sprintf("can't be read: %v", err)})
			continue
		}
		files = append(files, normalize.MappingFile{Name: path, Data: data})
	}
	c.mapping, err = mergedMapping(files, o)
	var found *config.Errors
	if errors.As(err, &found) {
		mistakes.Mistakes = append(mistakes.Mistakes, found.Mistakes...)
	}
	if len(mistakes.Mistakes) > 0 {
		return &exitError{exitConfig, mistakes}
	}
	return err
}

// readMappingFile reads no more than is needed to see that a file is too large.
func readMappingFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, normalize.MaxMappingFile+1))
}

func (c *converter) write(out io.Writer, place string, body []byte) error {
	c.n++
	if !isObject(body) {
		c.refused++
		fmt.Fprintf(c.std.err, "siemrelay: %s: not a JSON object, the receiver would answer 400\n", place)
		return nil
	}
	c.mapping.Event(&c.event, normalize.Raw{ID: convertID(body, c.n), Accepted: c.at, Body: body})
	c.line = append(c.encode(c.line[:0], &c.event), '\n')
	if _, err := out.Write(c.line); err != nil {
		return fmt.Errorf("write records: %w", err)
	}
	return nil
}

// convertID is event.id where there is no spool: 32 hex digits of SHA-256 over
// the body's SHA-256 and its position, from 1, big-endian.
func convertID(body []byte, position uint64) string {
	sum := sha256.Sum256(body)
	sum = sha256.Sum256(binary.BigEndian.AppendUint64(sum[:], position))
	return hex.EncodeToString(sum[:16])
}
