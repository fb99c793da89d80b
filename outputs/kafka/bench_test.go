package kafka_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/siemrelay/siemrelay/outputs/kafka"
)

// BenchmarkSend sends batches of a thousand events of 2 KB, which repeat themselves about
// as much as documents do, to a cluster that keeps nothing.
func BenchmarkSend(b *testing.B) {
	for _, compression := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		b.Run(compression, func(b *testing.B) {
			f := newFake(b, nil, kfake.BlackholeProduce())
			c := f.config()
			c.Compression = compression
			out := open(b, c, kafka.Options{Headers: []kafka.Header{{Key: "content-type", Value: "application/json"}}})
			batch := messages(1, 1000)
			size := int64(0)
			for i := range batch {
				batch[i].Body = bytes.Repeat(fmt.Appendf(nil, `{"field-%d":"value %x"},`, i%10, large(8)), 45)
				size += int64(len(batch[i].Body))
			}
			send(b, out, batch)
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				send(b, out, batch)
			}
		})
	}
}
