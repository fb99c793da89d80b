package kafka_test

import (
	"errors"
	"flag"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	testkafka "github.com/siemrelay/siemrelay/internal/testenv/kafka"
	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/kafka"
)

// brokers is how many brokers the largest test may start.
var brokers = flag.Int("kafka.brokers", 1, "brokers that a test may start at once: 1 or 3")

// TestRealKill kills the broker five times under load.
func TestRealKill(t *testing.T) {
	needJava(t)
	c := startCluster(t, 1)
	createTopic(t, c, testkafka.Topic{Name: "kill", Partitions: 4})
	k := realConfig(c, testkafka.SASL, "kill")
	k.Timeout = 5 * time.Second
	hammer(t, c, k, func(await func(more int)) error {
		for range 5 {
			await(2000)
			c.Kill(0)
			if err := c.Restart(0); err != nil {
				return err
			}
		}
		await(2000)
		return nil
	})
}

// TestRealLeaderChange kills a leader of three brokers, and later another. Three brokers
// and their consumer need more than two shared cores to be done in time, so it runs with
// -kafka.brokers 3 alone: make acceptance.
func TestRealLeaderChange(t *testing.T) {
	needJava(t)
	if *brokers < 3 {
		t.Skip("three brokers run with -kafka.brokers 3 only (make acceptance)")
	}
	c := startCluster(t, 3)
	createTopic(t, c, testkafka.Topic{Name: "kill", Partitions: 4, Copies: 3, Config: map[string]string{"min.insync.replicas": "2"}})
	k := realConfig(c, testkafka.Plain, "kill")
	k.Timeout = 5 * time.Second
	hammer(t, c, k, func(await func(more int)) error {
		for range 2 {
			await(2000)
			leaders, err := c.Leaders("kill")
			if err != nil {
				return err
			}
			down := int(leaders[0]) - 1
			c.Kill(down)
			await(2000)
			if err := c.Restart(down); err != nil {
				return err
			}
		}
		await(2000)
		return nil
	})
}

func startCluster(t *testing.T, brokers int) *testkafka.Cluster {
	t.Helper()
	c, err := testkafka.Start(testkafka.Options{Brokers: brokers, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Stop() })
	return c
}

// hammer sends events as a relay does while trouble runs on a goroutine of its own; then
// it compares what arrived. await waits until so many more are delivered.
func hammer(t *testing.T, c *testkafka.Cluster, k kafka.Config, trouble func(await func(more int)) error) {
	t.Helper()
	const size = 100
	out := open(t, k, kafka.Options{})
	var done atomic.Int64
	over := make(chan error, 1)
	go func() { // ends before this function does
		over <- trouble(func(more int) {
			for until := done.Load() + int64(more); done.Load() < until && t.Context().Err() == nil; {
				<-time.After(time.Millisecond)
			}
		})
	}()
	var all []outputs.Message
	failures := 0
	for running := true; running; {
		select {
		case err := <-over:
			if err != nil {
				t.Fatal(err)
			}
			running = false
		case <-time.After(10 * time.Millisecond):
		}
		batch := messages(len(all)+1, size)
		all = append(all, batch...)
		for left := batch; len(left) > 0; {
			err := out.Send(t.Context(), left)
			if err == nil {
				break
			}
			failures++
			left = unsettled(t, left, err)
			<-time.After(50 * time.Millisecond)
		}
		done.Add(size)
	}
	got, err := c.Records(k.Topic)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d events, %d records, %d failed sends", len(all), len(got), failures)
	inOrder(t, got, all)
}

// unsettled is what is to be sent again after an error.
func unsettled(t *testing.T, batch []outputs.Message, err error) []outputs.Message {
	t.Helper()
	var p *outputs.Partial
	if !errors.As(err, &p) {
		return batch
	}
	var left []outputs.Message
	for i, r := range p.Results {
		if r.Status == outputs.Refused {
			t.Fatalf("event %s was refused: %v", strconv.Quote(batch[i].ID), r.Err)
		}
		if r.Status == outputs.Retry {
			left = append(left, batch[i])
		}
	}
	return left
}
