package performance_test

import (
	"bytes"
	encoding "encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/segmentio/kafka-go/compress"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// kafkaPeer is a broker that confirms every batch and keeps its bytes, as they came.
type kafkaPeer struct {
	cluster *kfake.Cluster
	mu      sync.Mutex
	batches [][]byte
}

func newKafkaPeer(t *testing.T) peer {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.BlackholeProduce(), kfake.SeedTopics(4, "events"))
	must(t, err)
	p := &kafkaPeer{cluster: c}
	c.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, topic := range req.(*kmsg.ProduceRequest).Topics {
			for _, part := range topic.Partitions {
				p.batches = append(p.batches, part.Records)
			}
		}
		return nil, nil, false
	})
	return p
}

func (p *kafkaPeer) output(name string) string {
	return "  - {name: " + name + ", type: kafka, kafka: {brokers: [\"" + strings.Join(p.cluster.ListenAddrs(), `", "`) + "\"], topic: events}}\n"
}

// events reads the header event.id of each record.
func (p *kafkaPeer) events(take func([]byte)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, raw := range p.batches {
		var batch kmsg.RecordBatch
		if err := batch.ReadFrom(raw); err != nil {
			return fmt.Errorf("read batch: %w", err)
		}
		records := batch.Records
		if codec := compress.Compression(batch.Attributes & 7).Codec(); codec != nil {
			r := codec.NewReader(bytes.NewReader(records))
			var err error
			if records, err = io.ReadAll(r); err != nil {
				return fmt.Errorf("unpack batch: %w", err)
			}
			r.Close()
		}
		for range batch.NumRecords {
			length, n := encoding.Varint(records)
			if n <= 0 || length < 0 || int(length) > len(records)-n {
				return errors.New("read batch: a record is cut")
			}
			record := records[n : n+int(length)]
			records = records[n+int(length):]
			_, id, _ := bytes.Cut(record, []byte("event.id\x40")) // the key, and the length of what follows
			take(id[:min(len(id), 32)])
		}
	}
	return nil
}

func (p *kafkaPeer) close() { p.cluster.Close() }
