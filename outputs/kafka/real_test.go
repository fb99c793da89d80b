package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/internal/endtoend"
	testkafka "github.com/siemrelay/siemrelay/internal/testenv/kafka"
	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/kafka"
)

// shared is the one broker that most of the tests with a real one use.
type shared struct {
	once    sync.Once
	dir     string
	cluster *testkafka.Cluster
	err     error
}

var broker shared //nolint:gochecknoglobals // TestMain is the one place that can stop it

func TestMain(m *testing.M) {
	code := m.Run()
	if broker.cluster != nil {
		_ = broker.cluster.Stop()
	}
	_ = os.RemoveAll(broker.dir)
	os.Exit(code)
}

// realBroker is a broker, started by the first test that asks.
func realBroker(t *testing.T) *testkafka.Cluster {
	t.Helper()
	needJava(t)
	broker.once.Do(func() {
		if broker.dir, broker.err = os.MkdirTemp("", "siemrelay-kafka-"); broker.err == nil {
			broker.cluster, broker.err = testkafka.Start(testkafka.Options{Brokers: 1, Dir: broker.dir})
		}
	})
	if broker.err != nil {
		t.Fatal(broker.err)
	}
	return broker.cluster
}

// needJava skips where there is no Java, loudly; with CI set it fails.
func needJava(t *testing.T) {
	t.Helper()
	for _, tool := range []string{"java", "mvn"} {
		if _, err := exec.LookPath(tool); err != nil {
			endtoend.Skip(t, fmt.Errorf("a real Kafka needs Java and Maven: %w", err))
		}
	}
}

func realConfig(c *testkafka.Cluster, listener, topic string) kafka.Config {
	k := kafka.Default()
	k.Brokers = c.Addresses(listener)
	k.Topic = topic
	if strings.HasSuffix(listener, "SSL") {
		k.TLS = kafka.TLS{Enabled: true, CAFile: c.CAFile}
	}
	if listener == testkafka.MutualTLS {
		k.TLS.CertFile, k.TLS.KeyFile = c.CertFile, c.KeyFile
	}
	if strings.HasPrefix(listener, "SASL") {
		k.SASL = kafka.SASL{Mechanism: "SCRAM-SHA-512", Username: testkafka.User, Password: config.NewSecret(testkafka.Password)}
	}
	return k
}

func createTopic(t *testing.T, c *testkafka.Cluster, x testkafka.Topic) {
	t.Helper()
	if err := c.Create(x); err != nil {
		t.Fatal(err)
	}
}

// TestRealListeners delivers over every kind of listener and login, with every
// compression, and reads it back with the consumer of another project.
func TestRealListeners(t *testing.T) {
	c := realBroker(t)
	for i, x := range []struct{ listener, mechanism, compression string }{
		{testkafka.Plain, "", "none"},
		{testkafka.SASL, "PLAIN", "gzip"},
		{testkafka.SASL, "SCRAM-SHA-256", "snappy"},
		{testkafka.SASLOnTLS, "SCRAM-SHA-512", "lz4"},
		{testkafka.MutualTLS, "", "zstd"},
	} {
		t.Run(strings.Join([]string{x.listener, x.mechanism, x.compression}, " "), func(t *testing.T) {
			name := fmt.Sprint("listeners-", i)
			createTopic(t, c, testkafka.Topic{Name: name, Partitions: 3})
			k := realConfig(c, x.listener, name)
			k.SASL.Mechanism, k.Compression = x.mechanism, x.compression
			if x.mechanism == "" {
				k.SASL = kafka.SASL{}
			}
			out := open(t, k, kafka.Options{})
			want := messages(1, 1000)
			deliver(t, out, want[:1]) // a new broker may need a moment
			send(t, out, want[1:])
			got, err := c.Records(name)
			if err != nil {
				t.Fatal(err)
			}
			inOrder(t, got, want)
		})
	}
}

// TestRealRefusals: the message of each says what is wrong, and nobody's event is blamed.
func TestRealRefusals(t *testing.T) {
	c := realBroker(t)
	createTopic(t, c, testkafka.Topic{Name: "open", Partitions: 1})
	for name, rule := range map[string]func(topic string) error{"hidden": c.Close, "read-only": c.CloseForWriting} {
		createTopic(t, c, testkafka.Topic{Name: name, Partitions: 1})
		if err := rule(name); err != nil {
			t.Fatal(err)
		}
	}
	for name, x := range map[string]struct {
		listener string
		change   func(k *kafka.Config)
		want     string
	}{
		"wrong password, SCRAM": {testkafka.SASL, func(k *kafka.Config) { k.SASL.Password = config.NewSecret("wr0ng") }, "check sasl.username and the password"},
		"wrong password, PLAIN": {testkafka.SASL, func(k *kafka.Config) {
			k.SASL.Password, k.SASL.Mechanism = config.NewSecret("wr0ng"), "PLAIN"
		}, "check sasl.username and the password"},
		"unknown topic":      {testkafka.SASL, func(k *kafka.Config) { k.Topic = "nobody-made-it" }, "topic nobody-made-it: [3] Unknown Topic Or Partition"},
		"topic is hidden":    {testkafka.SASL, func(k *kafka.Config) { k.Topic = "hidden" }, "topic hidden: [29] Topic Authorization Failed"},
		"topic is read-only": {testkafka.SASL, func(k *kafka.Config) { k.Topic = "read-only" }, "topic read-only: [29] Topic Authorization Failed"},
		"no login":           {testkafka.SASL, func(k *kafka.Config) { k.SASL = kafka.SASL{} }, "this port may expect a login"},
		"no TLS":             {testkafka.SASLOnTLS, func(k *kafka.Config) { k.TLS = kafka.TLS{} }, "set tls"},
		"TLS where there is none": {testkafka.Plain, func(k *kafka.Config) {
			k.TLS = kafka.TLS{Enabled: true, CAFile: c.CAFile}
		}, "this port may not speak TLS"},
		"unknown authority":     {testkafka.SASLOnTLS, func(k *kafka.Config) { k.TLS.CAFile = "" }, "set tls.ca_file"},
		"no client certificate": {testkafka.MutualTLS, func(k *kafka.Config) { k.TLS.CertFile, k.TLS.KeyFile = "", "" }, "check tls.cert_file"},
		"another name":          {testkafka.SASLOnTLS, func(k *kafka.Config) { k.TLS.ServerName = "kafka.example.com" }, "set tls.server_name"},
	} {
		t.Run(name, func(t *testing.T) {
			k := realConfig(c, x.listener, "open")
			x.change(&k)
			k.Timeout = 5 * time.Second
			out := open(t, k, kafka.Options{})
			err := out.Send(t.Context(), messages(1, 3))
			if err == nil {
				t.Fatal("it worked")
			}
			t.Log(err)
			var notReady *outputs.NotReady
			if errors.As(err, &notReady) == strings.Contains(x.want, " may ") { // a guess is not enough to raise an alarm
				t.Errorf("NotReady or not: %T", err)
			}
			if !strings.Contains(err.Error(), x.want) {
				t.Errorf("the error does not say %q", x.want)
			}
			if strings.Contains(err.Error(), "wr0ng") || strings.Contains(err.Error(), testkafka.Password) {
				t.Errorf("the error tells the password")
			}
		})
	}
}

// TestRealTooLarge: of a thousand messages ten are larger than the topic takes.
func TestRealTooLarge(t *testing.T) {
	c := realBroker(t)
	createTopic(t, c, testkafka.Topic{Name: "small", Partitions: 3, Config: map[string]string{"max.message.bytes": "50000"}})
	out := open(t, realConfig(c, testkafka.SASL, "small"), kafka.Options{})
	batch := messages(1, 1000)
	var want []outputs.Message
	for i := range batch {
		if i%100 == 50 {
			batch[i].Body = large(60_000)
		} else {
			want = append(want, batch[i])
		}
	}
	no, reasons := deliver(t, out, batch)
	if len(no) != 10 || !strings.Contains(reasons[0].Error(), "max.message.bytes") {
		t.Errorf("%d messages were refused, want 10: %v", len(no), reasons)
	}
	got, err := c.Records("small")
	if err != nil {
		t.Fatal(err)
	}
	inOrder(t, got, want)
}

// TestRealInspect: what validate --connect tells of a real broker.
func TestRealInspect(t *testing.T) {
	c := realBroker(t)
	createTopic(t, c, testkafka.Topic{Name: "inspected", Partitions: 3})
	k := realConfig(c, testkafka.Plain, "inspected")
	facts, warnings := inspect(t, open(t, k, kafka.Options{}))
	if len(facts) != 1 || facts[0] != "topic inspected: 3 partitions, replication factor 1, min.insync.replicas 1" {
		t.Errorf("facts are %q", facts)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "there is one copy of each event") {
		t.Errorf("warnings are %q", warnings)
	}
	createTopic(t, c, testkafka.Topic{Name: "inspected-read-only", Partitions: 3})
	if err := c.CloseForWriting("inspected-read-only"); err != nil {
		t.Fatal(err)
	}
	k = realConfig(c, testkafka.SASL, "inspected-read-only")
	out := open(t, k, kafka.Options{}).(outputs.Checker)
	err := out.Check(t.Context())
	for end := time.Now().Add(time.Minute); err == nil && time.Now().Before(end); err = out.Check(t.Context()) {
		<-time.After(100 * time.Millisecond) // until the broker has heard of the rule
	}
	mustBeNotReady(t, err, "allow Write on the topic")
}

// TestRealTopicsAreMade: a topic is made when the first event for it comes.
func TestRealTopicsAreMade(t *testing.T) {
	c := realBroker(t)
	k := realConfig(c, testkafka.Plain, "made")
	k.CreateTopics, k.Partitions, k.ReplicationFactor = true, 5, 1
	deliver(t, open(t, k, kafka.Options{}), messages(1, 100))
	leaders, err := c.Leaders("made")
	if err != nil || len(leaders) != 5 {
		t.Errorf("the topic has %d partitions: %v", len(leaders), err)
	}
	got, err := c.Records("made")
	if err != nil {
		t.Fatal(err)
	}
	inOrder(t, got, messages(1, 100))
	k = realConfig(c, testkafka.SASL, "not-allowed")
	k.CreateTopics, k.Partitions, k.ReplicationFactor = true, 5, 1
	out := open(t, k, kafka.Options{})
	mustBeNotReady(t, out.Send(t.Context(), messages(1, 1)), "not-allowed")
}

// TestRealPartitions: keys land where the Java producer puts them, and the Java consumer
// reads what was sent.
func TestRealPartitions(t *testing.T) {
	c := realBroker(t)
	createTopic(t, c, testkafka.Topic{Name: "ours", Partitions: 7})
	createTopic(t, c, testkafka.Topic{Name: "theirs", Partitions: 7})
	out := open(t, realConfig(c, testkafka.Plain, "ours"), kafka.Options{Headers: []kafka.Header{{Key: "ecs.version", Value: "9.4.0"}}})
	var batch []outputs.Message
	var lines strings.Builder
	for i := range 50 {
		m := message(i, strings.Repeat("é", i%5)+fmt.Sprint("record-", i, "%2F"))
		batch = append(batch, m)
		fmt.Fprintf(&lines, "%s\t%s\n", m.Key, m.Body)
	}
	send(t, out, batch)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if _, err := c.Run(ctx, lines.String(), "org.apache.kafka.tools.ConsoleProducer", "--bootstrap-server", c.Addresses(testkafka.Plain)[0],
		"--topic", "theirs", "--reader-property", "parse.key=true"); err != nil {
		t.Fatal(err)
	}
	where := func(topic string) map[string]string {
		text, err := c.Run(ctx, "", "org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", c.Addresses(testkafka.Plain)[0],
			"--topic", topic, "--from-beginning", "--max-messages", "50", "--timeout-ms", "30000",
			"--formatter-property", "print.key=true", "--formatter-property", "print.partition=true", "--formatter-property", "print.headers=true", "--formatter-property", "print.timestamp=true")
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]string{}
		for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
			f := strings.Split(line, "\t") // CreateTime:…, Partition:…, headers, key, value
			if len(f) != 5 {
				t.Fatalf("the Java consumer printed %q", line)
			}
			found[f[3]] = f[1]
			if topic == "ours" && !strings.HasPrefix(f[2], "event.id:000000") {
				t.Errorf("headers are %q", f[2])
			}
		}
		return found
	}
	ours, theirs := where("ours"), where("theirs")
	if len(ours) != len(batch) {
		t.Errorf("the Java consumer read %d events, want %d", len(ours), len(batch))
	}
	used := map[string]bool{}
	for key, partition := range theirs {
		used[partition] = true
		if ours[key] != partition {
			t.Errorf("key %s is in %s, the Java producer puts it into %s", key, ours[key], partition)
		}
	}
	if len(used) < 5 {
		t.Errorf("only %d of 7 partitions are used: the test shows little", len(used))
	}
}
