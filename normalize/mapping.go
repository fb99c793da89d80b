package normalize

import "errors"

// MappingOptions are the settings of a Mapping that don't come from its file.
type MappingOptions struct {
	// LinkHosts are the host names that may become links (event.url), without port.
	LinkHosts []string
}

// Mapping is the vocabulary of the vendor and what each word means. It is
// immutable and safe for concurrent use, each goroutine with its own Event.
type Mapping struct {
	linkHosts []string
}

// ParseMapping reads a mapping file in YAML. The error lists every mistake, each
// with name and line.
func ParseMapping(name string, data []byte, o MappingOptions) (*Mapping, error) {
	if len(data) == 0 {
		return nil, errors.New(name + ": the mapping is empty")
	}
	return &Mapping{linkHosts: o.LinkHosts}, nil
}

// Event normalises raw into dst. It is total: whatever the body holds, dst is a
// valid event afterwards.
func (m *Mapping) Event(dst *Event, raw Raw) {
	*dst = Event{
		ID: raw.ID, Key: "other//event:" + raw.ID, Kind: "other", Dataset: "defensecom.other",
		EventKind: "pipeline_error", Trigger: "other", Action: "other-other", Severity: 47, SyslogSeverity: 4,
		Tags: append(dst.Tags[:0], raw.Tags...), Sequence: raw.Sequence, Accepted: raw.Accepted, body: raw.Body,
	}
}
