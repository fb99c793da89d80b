package normalize

import (
	"fmt"
	"strings"
)

// Encoder appends an event to dst in one format, without a line ending, and
// returns the extended slice. It is total, like Mapping.Event: what it appends is
// one line of valid UTF-8. It is safe for concurrent use.
type Encoder func(dst []byte, e *Event) []byte

// EncoderOptions are the settings of an encoder.
type EncoderOptions struct {
	// AgentVersion is agent.version, the version of siemrelay; empty means "unknown".
	AgentVersion string
	// Namespace is data_stream.namespace of an event whose company has none of its
	// own; empty means "default". It is in lower case, has at most 100 bytes, and no
	// hyphen, white space, control character or \ / * ? " < > | , # : in it.
	Namespace string
	// EventOriginal says whether an ECS document carries the raw body in
	// event.original. A minimal event carries it in any case: there is nothing else.
	EventOriginal bool
}

// format is one entry of the table of formats.
type format struct {
	name string
	make func(o EncoderOptions) Encoder
}

// formats is the table of formats. A new one is a file of this package and a line here.
func formats() []format {
	return []format{
		{"cef", newCEF},
		{"ecs", newECS},
	}
}

// Formats returns the names of the formats, sorted.
func Formats() []string {
	var names []string
	for _, f := range formats() {
		names = append(names, f.name)
	}
	return names
}

// NewEncoder returns the encoder of a format by its name, one of Formats.
func NewEncoder(name string, o EncoderOptions) (Encoder, error) {
	if o.AgentVersion == "" {
		o.AgentVersion = "unknown"
	}
	if o.Namespace == "" {
		o.Namespace = "default"
	}
	if err := checkNamespace(o.Namespace); err != nil {
		return nil, err
	}
	for _, f := range formats() {
		if f.name == name {
			return total(f.make(o)), nil
		}
	}
	return nil, fmt.Errorf("format %q is unknown, it must be one of %s", name, strings.Join(Formats(), ", "))
}

// total makes an encoder that a mistake of its own can't stop: what panics is
// encoded as a minimal event.
func total(encode Encoder) Encoder {
	return func(dst []byte, e *Event) (out []byte) {
		defer func() {
			if recover() != nil {
				var minimal Event
				minimal.minimal(Raw{ID: e.ID, Sequence: e.Sequence, Accepted: e.Accepted, Body: e.body})
				out = encode(dst, &minimal)
			}
		}()
		return encode(dst, e)
	}
}
