package config

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

// settings reads what depends on an output's type: the block of its settings,
// and the format.
func (d *decoder) settings(e *entries, o *Output, p place) {
	chosen, exists := d.options.outputType(o.Type)
	for _, t := range d.options.Types {
		x := e.take(t.Name)
		at := x.place(p.child(t.Name))
		if exists && t.Name != o.Type {
			if x.key != nil {
				d.add(at.on(x.key), fmt.Sprintf("these are settings for the type %s, but this output's type is %s; remove them or correct the type", t.Name, o.Type))
			}
			continue
		}
		if exists || x.value != nil { // without a type, settings are read only to find what is wrong in them
			settings := t.Settings()
			d.value(x.value, reflect.ValueOf(settings).Elem(), field{}, at)
			if exists {
				o.Settings = settings
				o.Where = Mistake{File: d.file, Line: at.line, Column: at.column, Key: at.path}
			}
		}
	}
	if o.Format == "" {
		o.Format = chosen.DefaultFormat
	}
	given := func(key string) bool { return d.spots[p.child("batch").child(key).path].written != "" }
	o.Batch.suit(o.Settings, given)
	if chosen.NeedsECS {
		o.checkECS(&scope{decoder: d, at: p})
	}
	if exists && o.Format == "" {
		s := &scope{decoder: d, at: p}
		s.report("format", "is missing; one of %s", strings.Join(d.options.Formats, ", "))
	}
}

// suit takes the default that settings have for a limit that is not given.
func (b *Batch) suit(settings any, given func(key string) bool) {
	s, ok := settings.(interface {
		DefaultBatch() (maxEvents int, maxBytes Size)
	})
	if !ok {
		return
	}
	maxEvents, maxBytes := s.DefaultBatch()
	if maxEvents > 0 && !given("max_events") {
		b.MaxEvents = maxEvents
	}
	if maxBytes > 0 && !given("max_bytes") {
		b.MaxBytes = maxBytes
	}
}

// checkECS refuses what an output can't read.
func (o *Output) checkECS(s *scope) {
	if o.Format != "ecs" {
		s.report("format", "does not go with the type %s, which reads the events that it keeps; write ecs, or leave it out", o.Type)
	}
	if !o.EventOriginal {
		s.report("event_original", "does not go with the type %s, which shows the raw webhooks; write true, or leave it out", o.Type)
	}
}

// outputName is what is safe in a file name and a metric's label alike.
var outputName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

func (o *Output) check(s *scope) {
	if o.Name != "" && !outputName.MatchString(o.Name) {
		s.report("name", "is not a name for an output; use a to z, 0 to 9, dot, hyphen and underscore, a letter or digit first, at most 63 characters")
	}
	o.checkWhen(s)
}

// checkWhen asks whether the filter's text is one. What came from outside must not
// be shown, and the answer may repeat it.
func (o *Output) checkWhen(s *scope) {
	if strings.TrimSpace(o.When) == "" {
		o.When = ""
		return
	}
	err := s.decoder.options.CheckFilter(o.When)
	switch {
	case err == nil:
	case s.find("when").foreign:
		s.report("when", "can't be used; the reason is not shown either, so try the text itself here")
	default:
		s.report("when", "can't be used: %v", err)
	}
}

func (r *Retry) check(s *scope) {
	if r.Min > r.Max {
		s.report("min", "is more than max, which is %s; give at most that", formatDuration(r.Max))
	}
}
