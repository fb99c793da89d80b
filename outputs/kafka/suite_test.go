package kafka_test

import (
	"bytes"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/kafka"
	"github.com/siemrelay/siemrelay/outputs/outputstest"
)

const user, password = "relay", "s3cret-canary"

func TestSuite(t *testing.T) {
	for _, compression := range []string{"none", "zstd"} {
		t.Run(compression, func(t *testing.T) {
			outputstest.Run(t, outputstest.Harness{
				KeepsOrder: true,
				Secrets:    []string{password},
				Leaks:      fakeGoroutines(),
				Setup:      func(tb testing.TB) outputstest.Subject { return subject(tb, compression) },
			})
		})
	}
}

func subject(tb testing.TB, compression string) outputstest.Subject {
	login := kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha512Mechanism())
	f := newFake(tb, []kgo.Opt{login}, kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", user, password))
	c := f.config()
	c.Compression = compression
	c.SASL = kafka.SASL{Mechanism: "SCRAM-SHA-512", Username: user, Password: config.NewSecret(password)}
	s := outputstest.Subject{
		New: func() (outputs.Output, error) { return kafka.New(c, kafka.Options{}) },
		Received: func() [][]byte {
			var bodies [][]byte
			for _, r := range f.records() {
				bodies = append(bodies, r.Value)
			}
			return bodies
		},
		Break: func() { f.during(down) },
		Hang:  func() { f.during(silent) },
		Spoil: func(body []byte) []byte { return append(body, large(1<<20)...) },
	}
	var put *kfake.FaultHandle
	s.Mend = func() {
		f.during(nil)
		if put != nil {
			put.Remove()
		}
	}
	if compression == "none" {
		s.Defer = func(marker string) {
			put = f.cluster.Fault(kfake.Fault{
				Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicas, Count: -1,
				When: func(req kmsg.Request) bool { return contains(req.(*kmsg.ProduceRequest), marker) },
			})
		}
	}
	return s
}

func contains(req *kmsg.ProduceRequest, text string) bool {
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			if bytes.Contains(p.Records, []byte(text)) {
				return true
			}
		}
	}
	return false
}
