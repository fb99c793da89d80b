package local_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/local"
)

func BenchmarkSend(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("events=%d", n), func(b *testing.B) {
			tr := newTraffic(newRig(b))
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				batch := make([]outputs.Message, 0, n)
				for range n {
					batch = append(batch, clone(tr.next()))
				}
				b.StartTimer()
				if err := tr.Send(context.Background(), batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func BenchmarkSearch(b *testing.B) {
	r := newRig(b)
	newTraffic(r).fill(20_000)
	r.pass(time.Hour)
	for _, text := range []string{"", "server", "risk:critical login", "serv*", `"brute force"`} {
		b.Run(fmt.Sprintf("%q", text), func(b *testing.B) {
			q, err := local.ParseQuery(text, r.clock())
			r.must(err)
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := r.Events(context.Background(), q, local.Page{Limit: 100}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
