package normalize_test

import (
	"testing"

	"github.com/siemrelay/siemrelay/mappings"
	"github.com/siemrelay/siemrelay/normalize"
)

const eventID = "5f2d0c1b9a8e4763b1c2d3e4f5061728"

func builtin(tb testing.TB) *normalize.Mapping {
	tb.Helper()
	m, err := normalize.ParseMapping(mappings.File, mappings.Defensecom(),
		normalize.MappingOptions{LinkHosts: []string{"my.defense.com"}})
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func encoder(tb testing.TB, format string, o normalize.EncoderOptions) normalize.Encoder {
	tb.Helper()
	o.AgentVersion = "1.2.3"
	encode, err := normalize.NewEncoder(format, o)
	if err != nil {
		tb.Fatal(err)
	}
	return encode
}

func rawOf(body []byte) normalize.Raw {
	return normalize.Raw{ID: eventID, Sequence: 42, Accepted: received, Body: body}
}
