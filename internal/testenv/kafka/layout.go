package kafka

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

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
