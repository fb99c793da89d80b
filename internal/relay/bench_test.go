package relay_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/relay"
	"github.com/siemrelay/siemrelay/mappings"
	"github.com/siemrelay/siemrelay/normalize"
	"github.com/siemrelay/siemrelay/outputs"
)

// endless is a spool that always has n more samples, and then ends the run.
type endless struct {
	samples []mappings.Sample
	left    int
	next    uint64
	stop    context.CancelFunc
}

func (e *endless) Next() (normalize.Raw, bool, error) {
	if e.left == 0 {
		e.stop()
		return normalize.Raw{}, false, nil
	}
	e.left--
	e.next++
	return normalize.Raw{
		ID: "0123456789abcdef0123456789abcdef", Sequence: e.next, Accepted: time.Unix(1_800_000_000, int64(e.next)),
		Body: e.samples[e.next%uint64(len(e.samples))].Body,
	}, true, nil
}

func (e *endless) Ready() <-chan struct{} { return nil }

func (e *endless) Commit(relay.Settled) error { return nil }

// discard is an output that costs nothing.
type discard struct{ bytes int64 }

func (d *discard) Send(_ context.Context, batch []outputs.Message) error {
	for _, m := range batch {
		d.bytes += int64(len(m.Body))
	}
	return nil
}

func (d *discard) Close() error { return nil }

// BenchmarkRelay is one event from the spool to an output, spool and output free.
func BenchmarkRelay(b *testing.B) {
	encode := func(format string) normalize.Encoder {
		e, err := normalize.NewEncoder(format, normalize.EncoderOptions{EventOriginal: true})
		if err != nil {
			b.Fatal(err)
		}
		return e
	}
	for name, encoder := range map[string]normalize.Encoder{
		"ecs": encode("ecs"), "cef": encode("cef"),
		"none": func(dst []byte, _ *normalize.Event) []byte { return append(dst, 'x') },
	} {
		for _, n := range []int{1, 100, 1000} {
			b.Run(fmt.Sprintf("%s/batch=%d", name, n), func(b *testing.B) {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				out := &discard{}
				r, err := relay.New(relay.Options{
					Name: "bench", Mapping: mapping(b), Encode: encoder, Namespace: "default", Output: out,
					Lanes:   []relay.Lane{{Source: &endless{samples: mappings.Samples(), left: b.N, stop: cancel}}},
					Letters: &letters{},
					Batch:   relay.Batch{MaxEvents: n, MaxBytes: 5 << 20, MaxWait: time.Second},
					Retry:   relay.Retry{Min: time.Second, Max: time.Second},
				})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				b.ResetTimer()
				if err := r.Run(ctx); err != nil {
					b.Fatal(err)
				}
				b.SetBytes(out.bytes / int64(b.N))
			})
		}
	}
}
