// Package normalize turns the raw body of a Defense.com webhook into an Event
// and an Event into bytes: an ECS document or a CEF line.
package normalize

import (
	"fmt"
	"strconv"
	"strings"
)

// Encoder appends an event to dst in one format, without a line ending, and
// returns the extended slice. It is safe for concurrent use.
type Encoder func(dst []byte, e *Event) []byte

// EncoderOptions are the settings of an encoder.
type EncoderOptions struct {
	// AgentVersion is agent.version, the version of siemrelay.
	AgentVersion string
	// Namespace is data_stream.namespace; empty means "default".
	Namespace string
	// EventOriginal says whether an ECS document carries the raw body.
	EventOriginal bool
}

// NewEncoder returns the encoder of a format by its name, one of Formats.
func NewEncoder(format string, o EncoderOptions) (Encoder, error) {
	switch format {
	case "cef", "ecs":
		return func(dst []byte, e *Event) []byte { return strconv.AppendQuote(dst, e.ID) }, nil
	}
	return nil, fmt.Errorf("format %q is unknown, it must be one of %s", format, strings.Join(Formats(), ", "))
}

// Formats returns the names of the formats, sorted.
func Formats() []string { return []string{"cef", "ecs"} }
