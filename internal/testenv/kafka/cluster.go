// Package kafka runs a real Apache Kafka for tests: brokers in KRaft mode, each broker
// and controller at once, from the jars that Maven Central has.
//
// It guarantees brokers that answer on free ports of 127.0.0.1, that are gone when the
// test process is, however it ends, and that can be killed as by a power cut and
// started again on the same ports and disk. It refuses to know our output: topics are
// made and read with other people's code. Only tests import it.
package kafka

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// The listeners of each broker.
const (
	Plain     = "PLAINTEXT"      // no login; may do everything, unlike the users of the others
	SASL      = "SASL_PLAINTEXT" // User logs in with PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
	SASLOnTLS = "SASL_SSL"       // the same over TLS
	MutualTLS = "SSL"            // a client certificate of the cluster's authority
	control   = "CONTROLLER"
)

// User and its Password log in. It, and who has a client certificate, may write to every
// topic but those that are closed to all.
const (
	User     = "relay"
	Password = "s3cret-of-the-broker"
)

// ready is how long a broker may take to start on a machine with much else to do.
const ready = 3 * time.Minute

// Options say what cluster is wanted.
type Options struct {
	// Brokers is 1 or 3.
	Brokers int
	// Dir is an empty folder for logs and data; the caller removes it.
	Dir string
}

// Cluster is brokers that run.
type Cluster struct {
	dir     string
	jars    string
	brokers []*broker
	admin   *kgo.Client

	// CAFile, CertFile and KeyFile are for clients: the authority, and a certificate.
	CAFile, CertFile, KeyFile string
}

type broker struct {
	id     int
	dir    string
	ports  map[string]int
	stdin  io.Closer // closing it kills the broker
	exited chan struct{}
}

// Start starts a cluster. The caller stops it.
func Start(o Options) (*Cluster, error) {
	jars, err := jars()
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: o.Dir, jars: jars}
	if err := c.certificates(); err != nil {
		return nil, err
	}
	if err := c.lay(o.Brokers); err != nil {
		return nil, err
	}
	for _, b := range c.brokers {
		if err := c.format(b); err != nil {
			return nil, err
		}
		if err := c.start(b); err != nil {
			return nil, errors.Join(err, c.Stop())
		}
	}
	if c.admin, err = kgo.NewClient(kgo.SeedBrokers(c.Addresses(Plain)...)); err != nil {
		return nil, errors.Join(fmt.Errorf("make an admin client: %w", err), c.Stop())
	}
	if err = c.await(); err == nil {
		err = c.Allow("*")
	}
	if err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// Stop kills all brokers.
func (c *Cluster) Stop() error {
	if c.admin != nil {
		c.admin.Close()
	}
	for i := range c.brokers {
		c.Kill(i)
	}
	return nil
}

// Addresses are those of a listener, broker by broker.
func (c *Cluster) Addresses(listener string) []string {
	var list []string
	for _, b := range c.brokers {
		list = append(list, b.address(listener))
	}
	return list
}

func (b *broker) address(listener string) string {
	return net.JoinHostPort("127.0.0.1", fmt.Sprint(b.ports[listener]))
}

// Kill ends a broker, counted from 0, as kill -9 does.
func (c *Cluster) Kill(i int) {
	b := c.brokers[i]
	if b.stdin == nil {
		return
	}
	_ = b.stdin.Close()
	<-b.exited
	b.stdin = nil
}

// Restart starts a broker that was killed, and waits until the cluster is whole.
func (c *Cluster) Restart(i int) error {
	if err := c.start(c.brokers[i]); err != nil {
		return err
	}
	return c.await()
}
