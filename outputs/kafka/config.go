package kafka

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"time"

	"github.com/siemrelay/siemrelay/internal/config"
)

// Config is the `kafka` block of an output.
type Config struct {
	Brokers  []string `yaml:"brokers" doc:"The brokers to begin with, each host:port; at least one, better three. The others are learned from them."`
	Topic    string   `yaml:"topic" doc:"The topic of every event that no other setting gives one. May be left out where topics names all three."`
	Topics   Topics   `yaml:"topics"`
	ClientID string   `yaml:"client_id" required:"a name for the brokers' logs and quotas" doc:"The name that the brokers see in logs and quotas."`

	Compression string        `yaml:"compression" oneof:"none,gzip,snappy,lz4,zstd" doc:"How batches are compressed."`
	Timeout     time.Duration `yaml:"timeout" min:"100ms" max:"10m" doc:"The longest time that a request to a broker may take. The broker is asked to give up on its replicas a little earlier."`

	CreateTopics      bool `yaml:"create_topics" doc:"Create a topic that does not exist, with partitions and replication_factor. Otherwise the output waits until somebody does."`
	Partitions        int  `yaml:"partitions" max:"10000" doc:"The partitions of a topic that is created. Needed with create_topics."`
	ReplicationFactor int  `yaml:"replication_factor" max:"100" doc:"The copies of each partition of a topic that is created; from 3 on it also gets min.insync.replicas 2. Needed with create_topics."`

	TLS  TLS  `yaml:"tls"`
	SASL SASL `yaml:"sasl"`
}

// Topics are the topics by kind; an empty one is Config.Topic.
type Topics struct {
	Threat string `yaml:"threat" doc:"The topic of threats."`
	Ticket string `yaml:"ticket" doc:"The topic of support tickets."`
	Other  string `yaml:"other" doc:"The topic of everything else."`
}

// TLS says how a connection is encrypted. The files are read again for each new connection.
type TLS struct {
	Enabled    bool   `yaml:"enabled" doc:"Speak TLS with the brokers: true where tls is written, even as {}."`
	CAFile     string `yaml:"ca_file" doc:"PEM file with the authorities that the brokers' certificates must come from, instead of those of the system. Read again for each new connection."`
	CertFile   string `yaml:"cert_file" doc:"PEM file with a client certificate, for brokers that ask for one. Read again for each new connection."`
	KeyFile    string `yaml:"key_file" doc:"PEM file with the private key of cert_file. Read again for each new connection."`
	ServerName string `yaml:"server_name" doc:"The name that the brokers' certificates must have, where it isn't the host that is connected to."`

	InsecureSkipVerify bool `yaml:"insecure_skip_verify" doc:"Take any certificate: anybody on the way can then read and change everything. For a test only."`
}

// SetWritten makes a block that is written, even as {}, mean TLS.
func (t *TLS) SetWritten() { t.Enabled = true }

// SASL is a login. It is used when Mechanism is given.
type SASL struct {
	Mechanism string        `yaml:"mechanism" oneof:"PLAIN,SCRAM-SHA-256,SCRAM-SHA-512" doc:"How to log in; empty means not at all. PLAIN sends the password readable, so use it with tls only."`
	Username  string        `yaml:"username" hide:"true" doc:"The user name."`
	Password  config.Secret `yaml:"password" doc:"The password. A password_file is read again when it changes, and used from the next connection on."`
}

// Default returns the settings that a configuration starts from. Brokers and
// topics have no default.
func Default() Config {
	return Config{ClientID: "siemrelay", Compression: "lz4", Timeout: 30 * time.Second}
}

// topicName is what Kafka takes for a topic
// (org.apache.kafka.common.internals.Topic, version 4.3).
var topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

const topicForm = "is no name of a topic; use letters, digits, dot, hyphen and underscore, at most 249"

func isTopic(name string) bool { return topicName.MatchString(name) && name != "." && name != ".." }

// Validate reports what the tags can't say.
func (c *Config) Validate(report func(key, format string, args ...any)) {
	if len(c.Brokers) == 0 {
		report("brokers", "is missing; give at least one broker as host:port")
	}
	for i, b := range c.Brokers {
		if !isAddress(b) {
			report(fmt.Sprintf("brokers[%d]", i), "is no address of a broker; write host:port, such as kafka-1:9092")
		}
	}
	c.validateTopics(report)
	c.validateLogin(report)
}

func (c *Config) validateTopics(report func(key, format string, args ...any)) {
	for key, name := range map[string]string{
		"topic": c.Topic, "topics.threat": c.Topics.Threat, "topics.ticket": c.Topics.Ticket, "topics.other": c.Topics.Other,
	} {
		if name != "" && !isTopic(name) {
			report(key, topicForm)
		}
	}
	if c.Topic == "" && (c.Topics.Threat == "" || c.Topics.Ticket == "" || c.Topics.Other == "") {
		report("topic", "is missing; give the topic of all events that topics does not name one for")
	}
	if c.CreateTopics && c.Partitions == 0 {
		report("partitions", "is missing; say how many partitions a topic gets that create_topics makes")
	}
	if c.CreateTopics && c.ReplicationFactor == 0 {
		report("replication_factor", "is missing; say how many copies each partition gets of a topic that create_topics makes")
	}
}

func (c *Config) validateLogin(report func(key, format string, args ...any)) {
	t, s := c.TLS, c.SASL
	if t != (TLS{}) && !t.Enabled {
		report("tls.enabled", "means that the other settings of tls are not used; set it to true or remove them")
	}
	if t.CertFile != "" && t.KeyFile == "" {
		report("tls.key_file", "is missing; cert_file needs it")
	}
	if t.KeyFile != "" && t.CertFile == "" {
		report("tls.cert_file", "is missing; key_file needs it")
	}
	if s.Mechanism != "" && s.Username == "" {
		report("sasl.username", "is missing; a login needs it")
	}
	if s.Mechanism != "" && !s.Password.IsSet() {
		report("sasl.password", "is missing; a login needs it, or a password_file")
	}
	if s.Mechanism == "" && (s.Username != "" || s.Password.IsSet()) {
		report("sasl.mechanism", "is missing; give PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
	}
}

func isAddress(text string) bool {
	host, port, err := net.SplitHostPort(text)
	if err != nil || host == "" {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

// check returns every mistake, those against the tags too: New is also called
// with settings that came from no file.
func (c *Config) check() error {
	var errs []error
	wrong := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("check kafka output: %s %s", key, fmt.Sprintf(format, args...)))
	}
	if _, ok := codecs()[c.Compression]; !ok {
		wrong("compression", "%q is unknown; one of none, gzip, snappy, lz4, zstd", c.Compression)
	}
	switch c.SASL.Mechanism {
	case "", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512":
	default:
		wrong("sasl.mechanism", "%q is unknown; one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512", c.SASL.Mechanism)
	}
	if c.Timeout <= 0 {
		wrong("timeout", "%v is not positive", c.Timeout)
	}
	if c.Partitions < 0 || c.ReplicationFactor < 0 {
		wrong("partitions and replication_factor", "can't be negative")
	}
	c.Validate(wrong)
	return errors.Join(errs...)
}
