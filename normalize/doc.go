// Package normalize turns the raw body of a Defense.com webhook into an Event,
// and an Event into bytes of one format: an ECS document or a CEF line.
//
//	raw body --payload.go--> fields --mapping.go--> Event --ecs.go, cef.go--> bytes
//
// It guarantees that every step is total and pure. Any bytes at all give a valid
// event, the same bytes always give the same event, and every encoder writes
// exactly one line of valid UTF-8. What the vendor has not documented yet is
// data: an unknown word keeps its raw text and adds a tag, an unknown key goes to
// defensecom.extra, and a body that can't be read at all becomes a minimal event
// (event.kind pipeline_error, tag siemrelay_mapping_error) that carries the body.
//
// The vendor's words and what they mean come from a mapping file, see package
// mappings. The package refuses to know where events come from and where they go:
// it reads no clock, no file and no network.
package normalize
