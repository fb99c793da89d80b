package kafka_test

import (
	"fmt"
	"strconv"
	"syscall"
	"testing"

	"github.com/siemrelay/siemrelay/internal/endtoend"
	testkafka "github.com/siemrelay/siemrelay/internal/testenv/kafka"
)

// TestRealEndToEnd is the built program between senders and a real broker, both of which
// are killed again and again: every webhook that was answered with 200 is in the topic, in
// order, and the file output beside it does not notice that the broker is gone.
func TestRealEndToEnd(t *testing.T) {
	needJava(t)
	binary, err := endtoend.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := startCluster(t, 1)
	createTopic(t, c, testkafka.Topic{Name: "threats", Partitions: 4})
	createTopic(t, c, testkafka.Topic{Name: "rest", Partitions: 1})
	rig := endtoend.NewRig(t, endtoend.Setup{
		Binary: binary, Outputs: []endtoend.Output{{Format: "ecs"}},
		More: fmt.Sprintf(`  - name: kafka
    type: kafka
    batch: {max_events: 100, max_wait: 2ms}
    retry: {min: 10ms, max: 250ms}
    kafka:
      brokers: [%q]
      topic: rest
      topics: {threat: threats}
      timeout: 5s
      sasl: {mechanism: SCRAM-SHA-512, username: %s, password: %q}
`, c.Addresses(testkafka.SASL)[0], testkafka.User, testkafka.Password),
	})
	load := endtoend.StartLoad(endtoend.LoadOptions{Client: rig.Client, Connections: 4, Records: 5, BodySize: 500})
	defer load.Stop()
	await := func(what string, n int) {
		from := load.Accepted()
		rig.Eventually(what, func() bool { return load.Accepted() >= from+n })
	}
	process := rig.Start()
	load.SetDoor(rig.Serving().Address)
	for range 3 {
		await("webhooks are accepted", 500)
		c.Kill(0)
		await("webhooks are accepted while the broker is down", 500)
		rig.Eventually("the other output is not held up", func() bool { n, _ := strconv.Atoi(rig.Pending()["ecs"]); return n < 100 })
		if err := c.Restart(0); err != nil {
			t.Fatal(err)
		}
		await("webhooks are accepted", 500)
		load.SetDoor("")
		if err := process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if _, err := process.AwaitExit(); err != nil {
			t.Fatal(err)
		}
		process = rig.Start()
		load.SetDoor(rig.Serving().Address)
	}
	sent := load.Stop()
	rig.Eventually("everything is delivered", func() bool { return rig.Pending()["kafka"] == "0" && rig.Pending()["ecs"] == "0" })
	rig.Stop(process)

	got, err := c.Records("threats")
	if err != nil {
		t.Fatal(err)
	}
	ids, copies := map[string]string{}, 0 // event.id by hash
	last := map[string]uint64{}           // sequence by key
	seen := map[string]bool{}
	for _, r := range got {
		line, err := endtoend.ParseLine("ecs", r.Value)
		if err != nil {
			t.Fatal(err)
		}
		if line.EventID != header(r, "event.id") {
			t.Errorf("the header says %s, the document %s", header(r, "event.id"), line.EventID)
		}
		if other := ids[line.Hash]; other != "" && other != line.EventID {
			t.Errorf("one webhook came as %s and as %s", other, line.EventID)
		}
		ids[line.Hash] = line.EventID
		if seen[line.EventID] {
			copies++
			continue
		}
		seen[line.EventID] = true
		if line.Sequence <= last[string(r.Key)] {
			t.Errorf("key %s: number %d came after %d", r.Key, line.Sequence, last[string(r.Key)])
		}
		last[string(r.Key)] = line.Sequence
	}
	accepted := 0
	for _, d := range sent {
		if !d.Accepted() {
			continue
		}
		accepted++
		if ids[d.Hash] != d.Answer.ID {
			t.Errorf("webhook %d of record %s was accepted as %s and is in the topic as %q", d.Number, d.Record, d.Answer.ID, ids[d.Hash])
		}
	}
	t.Logf("%d webhooks accepted, %d events in the topic, %d copies", accepted, len(seen), copies)
	if copies > 3*100 {
		t.Errorf("%d copies, at most a batch for each of 3 kills may be", copies)
	}
	if len(last) != 20 {
		t.Errorf("%d keys, want 20", len(last))
	}
}
