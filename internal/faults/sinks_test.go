package faults_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/siemrelay/siemrelay/internal/endtoend"
	"github.com/siemrelay/siemrelay/outputs/elasticsearch/elasticsearchtest"
)

// lines is a receiver of events as ECS, one in each line over TCP, or in each datagram.
type lines struct {
	tb      testing.TB
	address string

	mu  sync.Mutex
	got map[string]int // copies by event id
	raw []string       // datagrams only
}

// newLines listens for lines over TCP on the address.
func newLines(tb testing.TB, address string) *lines {
	tb.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		tb.Fatal(err)
	}
	s := &lines{tb: tb, address: l.Addr().String(), got: map[string]int{}}
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	tb.Cleanup(func() {
		cancel()
		l.Close()
		running.Wait()
	})
	running.Go(func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(ctx, func() { c.Close() })
			running.Go(func() { s.read(c) }) // ends with the connection
		}
	})
	return s
}

func (s *lines) read(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		text, err := in.ReadString('\n')
		if err != nil {
			return // what has no end is a piece of an event that is sent again
		}
		s.add(strings.TrimSuffix(text, "\n"))
	}
}

func (s *lines) add(text string) {
	line, err := endtoend.ParseLine("ecs", []byte(text))
	if err != nil {
		s.tb.Errorf("the receiver got %.200q: %v", text, err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got[line.EventID]++
}

// counts are the copies by event id.
func (s *lines) counts() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]int{}
	for id, n := range s.got {
		all[id] = n
	}
	return all
}

// receivers are one of each kind that is reached over the network, all in this process.
type receivers struct {
	t      *testing.T
	search *elasticsearchtest.Server
	siem   *lines
	topic  *kfake.Cluster
}

// remote are the names of their outputs.
var remote = []string{"search", "siem", "topic"}

func newReceivers(t *testing.T) *receivers {
	t.Helper()
	r := &receivers{t: t, search: elasticsearchtest.New(t), siem: newLines(t, "127.0.0.1:0")}
	var err error
	r.topic, err = kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "events"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.topic.Close)
	return r
}

// ports are theirs, as a set of nftables.
func (r *receivers) ports() string {
	var ports []string
	for _, address := range []string{r.searchAddress(), r.siem.address, r.topic.ListenAddrs()[0]} {
		_, port, _ := net.SplitHostPort(address)
		ports = append(ports, port)
	}
	return "{ " + strings.Join(ports, ", ") + " }"
}

func (r *receivers) searchAddress() string {
	u, err := url.Parse(r.search.URL)
	if err != nil {
		r.t.Fatal(err)
	}
	return u.Host
}

// outputs are the outputs to them, through these addresses.
func (r *receivers) outputs(search, siem string) string {
	const common = "    format: ecs\n    batch: {max_events: 50, max_wait: 5ms}\n    retry: {min: 10ms, max: 250ms}\n"
	return fmt.Sprintf("  - name: search\n    type: elasticsearch\n%[1]s    elasticsearch: {urls: [%[2]q], timeout: 2s}\n"+
		"  - name: siem\n    type: syslog\n%[1]s    syslog: {address: %[3]q, header: none, framing: newline, timeout: 2s, hold: 20ms}\n"+
		"  - name: topic\n    type: kafka\n%[1]s    kafka: {brokers: [%[4]q], topic: events, timeout: 2s}\n",
		common, "http://"+search, "tcp://"+siem, r.topic.ListenAddrs()[0])
}

// check looks for every accepted event in each of them, and logs how many came twice.
// At Elasticsearch none may.
func (r *receivers) check(sent []endtoend.Delivery) {
	r.t.Helper()
	documents := map[string]int{}
	for _, d := range r.search.Documents(".ds-") {
		documents[d.ID]++
	}
	if n := all(r.t, sent, documents); n > 0 {
		r.t.Errorf("%d events are twice in Elasticsearch", n)
	}
	bySyslog := all(r.t, sent, r.siem.counts())
	byKafka := all(r.t, sent, r.records())
	r.t.Logf("Elasticsearch has %d documents, each once; syslog came with %d events twice, Kafka with %d", len(documents), bySyslog, byKafka)
}

// records counts the copies in the topic.
func (r *receivers) records() map[string]int {
	r.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(r.topic.ListenAddrs()...), kgo.ConsumeTopics("events"), kgo.FetchMaxWait(20*time.Millisecond))
	if err != nil {
		r.t.Fatal(err)
	}
	defer client.Close()
	var want int64
	for _, p := range r.topic.PartitionInfos("events") {
		want += p.HighWatermark
	}
	got, n := map[string]int{}, int64(0)
	ctx, cancel := context.WithTimeout(context.Background(), endtoend.Patience)
	defer cancel()
	for n < want {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			r.t.Fatalf("only %d of %d records could be read: %v", n, want, fetches.Err())
		}
		for _, record := range fetches.Records() {
			line, err := endtoend.ParseLine("ecs", record.Value)
			if err != nil {
				r.t.Fatal(err)
			}
			got[line.EventID]++
			n++
		}
	}
	return got
}

// troubled waits until status tells of trouble with each of the outputs, in these words.
func (w *world) troubled(words string, outputs ...string) {
	w.t.Helper()
	for _, name := range outputs {
		var o endtoend.StatusOutput
		w.Eventually("status tells of trouble with "+name, func() bool {
			o, _ = w.Status().Output(name)
			return o.State != "ok" && o.Error != "" && strings.Contains(o.Error, words)
		})
		w.t.Logf("output %s is %s: %s", name, o.State, o.Error)
	}
}
