package normalize_test

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fastjson"

	"github.com/siemrelay/siemrelay/mappings"
	"github.com/siemrelay/siemrelay/normalize"
)

// benchBodies are bodies from the vendor's example to the largest that the door takes.
func benchBodies() map[string][]byte {
	samples := mappings.Samples()
	long := strings.Repeat("Found on host web-17. ", 2000)
	return map[string][]byte{
		"vendor-threat": samples[0].Body,
		"vendor-ticket": samples[1].Body,
		"escaped":       []byte(`{"record_type":"Threat","id":"1","company_id":"2","trigger_action":"create","title":"caf\u00e9 \"x\"","risk":"HIGH","url":"https:\/\/my.defense.com\/threats\/1"}`),
		"extra":         []byte(`{"record_type":"Threat","id":"1","company_id":"2","trigger_action":"create","title":"t","risk":"high","assets":[{"name":"web-17","ports":[80,443]}],"score":7.5}`),
		"44KB":          []byte(`{"record_type":"Threat","id":"1","company_id":"2","trigger_action":"create","title":"t","risk":"high","description":"` + long + `"}`),
	}
}

// BenchmarkEncode is the whole way of one event: read, normalise, encode.
func BenchmarkEncode(b *testing.B) {
	m := builtin(b)
	for _, format := range normalize.Formats() {
		encode := encoder(b, format, normalize.EncoderOptions{EventOriginal: true})
		for name, body := range benchBodies() {
			b.Run(format+"/"+name, func(b *testing.B) {
				raw := rawOf(body)
				var e normalize.Event
				var buf []byte
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					m.Event(&e, raw)
					buf = encode(buf[:0], &e)
				}
			})
		}
	}
}

// BenchmarkParts tells where the time goes.
func BenchmarkParts(b *testing.B) {
	m := builtin(b)
	body := mappings.Samples()[0].Body
	raw := rawOf(body)
	var e normalize.Event
	m.Event(&e, raw)
	parts := map[string]func(){
		"validate": func() { _ = fastjson.ValidateBytes(body) },
		"hash":     func() { _ = sha256.Sum256(body) },
		"event":    func() { m.Event(&e, raw) },
	}
	for _, format := range normalize.Formats() {
		encode := encoder(b, format, normalize.EncoderOptions{EventOriginal: true})
		var buf []byte
		parts[format] = func() { buf = encode(buf[:0], &e) }
	}
	for name, f := range parts {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
}

// BenchmarkParallel is the whole way on every processor: one Mapping, an Event each.
func BenchmarkParallel(b *testing.B) {
	m := builtin(b)
	encode := encoder(b, "ecs", normalize.EncoderOptions{EventOriginal: true})
	raw := rawOf(mappings.Samples()[0].Body)
	b.SetBytes(int64(len(raw.Body)))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		var e normalize.Event
		var buf []byte
		for pb.Next() {
			m.Event(&e, raw)
			buf = encode(buf[:0], &e)
		}
	})
}

var received = time.Date(2026, 6, 19, 9, 30, 4, 120456789, time.UTC)

// BenchmarkIdentify is what the door pays for each delivery, which it knows to be an
// object, and what somebody who doesn't know pays.
func BenchmarkIdentify(b *testing.B) {
	m := builtin(b)
	for name, identify := range map[string]func(*normalize.Event, []byte) normalize.Identity{"object": m.IdentifyObject, "any": m.Identify} {
		for body, text := range benchBodies() {
			b.Run(name+"/"+body, func(b *testing.B) {
				var scratch normalize.Event
				b.SetBytes(int64(len(text)))
				b.ReportAllocs()
				for b.Loop() {
					identify(&scratch, text)
				}
			})
		}
	}
}
