// Package kafka runs a real Apache Kafka for tests: brokers in KRaft mode, each broker
// and controller at once, from the jars that Maven Central has.
//
// It guarantees brokers that answer on free ports of 127.0.0.1, that are gone when the
// test process is, however it ends, and that can be killed as by a power cut and
// started again on the same ports and disk. It refuses to know our output: topics are
// made and read with other people's code. Only tests import it.
package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
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

// lay gives each broker a folder, ports and a configuration.
func (c *Cluster) lay(n int) error {
	var voters, listeners []string
	for i := range n {
		b := &broker{id: i + 1, dir: filepath.Join(c.dir, fmt.Sprint("broker-", i+1)), ports: map[string]int{}}
		for _, l := range []string{Plain, SASL, SASLOnTLS, MutualTLS, control} {
			port, err := freePort()
			if err != nil {
				return err
			}
			b.ports[l] = port
		}
		c.brokers = append(c.brokers, b)
		voters = append(voters, fmt.Sprintf("%d@%s", b.id, b.address(control)))
	}
	for _, b := range c.brokers {
		listeners = listeners[:0]
		for _, l := range []string{Plain, SASL, SASLOnTLS, MutualTLS, control} {
			listeners = append(listeners, l+"://"+b.address(l))
		}
		if err := os.MkdirAll(b.dir, 0o755); err != nil {
			return fmt.Errorf("make a broker's folder: %w", err)
		}
		if err := os.WriteFile(b.file("server.properties"), []byte(c.properties(b, n, listeners, voters)), 0o600); err != nil {
			return fmt.Errorf("write a broker's configuration: %w", err)
		}
	}
	return nil
}

func (b *broker) file(name string) string { return filepath.Join(b.dir, name) }

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (c *Cluster) properties(b *broker, n int, listeners, voters []string) string {
	copies := min(n, 3)
	p := []string{
		"process.roles=broker,controller",
		fmt.Sprint("node.id=", b.id),
		"controller.quorum.voters=" + strings.Join(voters, ","),
		"listeners=" + strings.Join(listeners, ","),
		"advertised.listeners=" + strings.Join(listeners, ","),
		"listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL,CONTROLLER:PLAINTEXT",
		"inter.broker.listener.name=PLAINTEXT",
		"controller.listener.names=CONTROLLER",
		"sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
		"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users=User:ANONYMOUS",
		"log.dirs=" + b.file("data"),
		"auto.create.topics.enable=false",
		fmt.Sprint("offsets.topic.replication.factor=", copies),
		fmt.Sprint("transaction.state.log.replication.factor=", copies),
		"transaction.state.log.min.isr=1",
		"offsets.topic.num.partitions=1",
		"group.initial.rebalance.delay.ms=0",
		"broker.heartbeat.interval.ms=500",
		"broker.session.timeout.ms=3000",
		"num.network.threads=2", "num.io.threads=2", "log.cleaner.dedupe.buffer.size=2097152",
	}
	for _, l := range []string{"sasl_plaintext", "sasl_ssl"} {
		p = append(p,
			fmt.Sprintf(`listener.name.%s.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_%s="%s";`, l, User, Password),
			fmt.Sprintf("listener.name.%s.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;", l),
			fmt.Sprintf("listener.name.%s.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;", l))
	}
	for _, l := range []string{"sasl_ssl", "ssl"} {
		p = append(p,
			fmt.Sprintf("listener.name.%s.ssl.keystore.type=PEM", l),
			fmt.Sprintf("listener.name.%s.ssl.keystore.location=%s", l, filepath.Join(c.dir, "server.pem")),
			fmt.Sprintf("listener.name.%s.ssl.truststore.type=PEM", l),
			fmt.Sprintf("listener.name.%s.ssl.truststore.location=%s", l, c.CAFile))
	}
	p = append(p, "listener.name.ssl.ssl.client.auth=required")
	return strings.Join(p, "\n") + "\n"
}

// java is a command that runs a class of the jars with little memory.
func (c *Cluster) java(heap string, args ...string) []string {
	return append([]string{
		"java", "-Xmx" + heap, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", filepath.Join(c.jars, "*"),
	}, args...)
}

// Run runs a class of Kafka's own tools, such as
// org.apache.kafka.tools.consumer.ConsoleConsumer, and returns what it printed.
func (c *Cluster) Run(ctx context.Context, input, class string, args ...string) (string, error) {
	argv := c.java("256m", append([]string{class}, args...)...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var out, problems bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &problems
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("run %s: %w: %s", class, err, problems.String())
	}
	return out.String(), nil
}

const clusterID = "MkU3OEVBNTcwNTJENDM2Qg"

// format makes a broker's disk, with the user's SCRAM passwords.
func (c *Cluster) format(b *broker) error {
	ctx, cancel := context.WithTimeout(context.Background(), ready)
	defer cancel()
	args := []string{"format", "-t", clusterID, "-c", b.file("server.properties")}
	for _, m := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
		args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", m, User, Password))
	}
	_, err := c.Run(ctx, "", "kafka.tools.StorageTool", args...)
	return err
}

// start runs a broker under a shell that kills it when its input ends: by Kill, or
// because the test process is gone.
func (c *Cluster) start(b *broker) error {
	log, err := os.OpenFile(b.file("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open a broker's log: %w", err)
	}
	defer log.Close()
	argv := c.java("512m", "kafka.Kafka", b.file("server.properties"))
	cmd := exec.Command("sh", append([]string{"-c", `"$@" </dev/null & read -r x; kill -9 $!; wait`, "sh"}, argv...)...)
	cmd.Stdout, cmd.Stderr = log, log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("start broker %d: %w", b.id, err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start broker %d: %w", b.id, err)
	}
	b.stdin, b.exited = stdin, make(chan struct{})
	exited := b.exited
	go func() { // ends with the broker, which Kill ends
		_ = cmd.Wait()
		close(exited)
	}()
	return nil
}

// await waits until every broker that runs is one of the cluster.
func (c *Cluster) await() error {
	running := 0
	for _, b := range c.brokers {
		if b.stdin != nil {
			running++
		}
	}
	deadline := time.Now().Add(ready)
	for {
		err := c.count(running)
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("wait for %d brokers: %w\n%s", running, err, c.logs())
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (c *Cluster) count(want int) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	for _, b := range c.brokers {
		if b.stdin == nil {
			continue
		}
		d := net.Dialer{}
		nc, err := d.DialContext(ctx, "tcp", b.address(Plain))
		if err != nil {
			return err
		}
		_ = nc.Close()
	}
	r, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, c.admin)
	if err != nil {
		return err
	}
	if len(r.Brokers) != want {
		return fmt.Errorf("the cluster has %d brokers", len(r.Brokers))
	}
	return nil
}

// logs are the ends of the brokers' logs.
func (c *Cluster) logs() string {
	var all strings.Builder
	for _, b := range c.brokers {
		text, _ := os.ReadFile(b.file("log"))
		fmt.Fprintf(&all, "--- broker %d:\n%s\n", b.id, text[max(0, len(text)-4000):])
	}
	return all.String()
}
