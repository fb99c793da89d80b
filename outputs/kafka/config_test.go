package kafka_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/outputs/kafka"
)

func good() kafka.Config {
	c := kafka.Default()
	c.Brokers, c.Topic = []string{"kafka-1:9092"}, topic
	return c
}

func TestMistakes(t *testing.T) {
	for name, x := range map[string]struct {
		change func(c *kafka.Config)
		want   []string // keys
	}{
		"none":                 {func(*kafka.Config) {}, nil},
		"no broker":            {func(c *kafka.Config) { c.Brokers = nil }, []string{"brokers"}},
		"bad brokers":          {func(c *kafka.Config) { c.Brokers = []string{"kafka-1", "[::1]:9092", ":9092", "kafka:0", "kafka:http"} }, []string{"brokers[0]", "brokers[2]", "brokers[3]", "brokers[4]"}},
		"no topic":             {func(c *kafka.Config) { c.Topic = "" }, []string{"topic"}},
		"no topic of one kind": {func(c *kafka.Config) { c.Topic, c.Topics = "", kafka.Topics{Threat: "a", Ticket: "b"} }, []string{"topic"}},
		"topics of all kinds":  {func(c *kafka.Config) { c.Topic, c.Topics = "", kafka.Topics{Threat: "a", Ticket: "b", Other: "c"} }, nil},
		"bad topics": {func(c *kafka.Config) {
			c.Topic, c.Topics.Threat, c.Topics.Other = "a b", "..", strings.Repeat("a", 250)
		}, []string{"topic", "topics.other", "topics.threat"}},
		"create without number": {func(c *kafka.Config) { c.CreateTopics = true }, []string{"partitions", "replication_factor"}},
		"tls without enabled":   {func(c *kafka.Config) { c.TLS.CAFile = "ca.pem" }, []string{"tls.enabled"}},
		"half a certificate":    {func(c *kafka.Config) { c.TLS = kafka.TLS{Enabled: true, CertFile: "a"} }, []string{"tls.key_file"}},
		"the other half":        {func(c *kafka.Config) { c.TLS = kafka.TLS{Enabled: true, KeyFile: "a"} }, []string{"tls.cert_file"}},
		"login without a name":  {func(c *kafka.Config) { c.SASL.Mechanism = "PLAIN" }, []string{"sasl.password", "sasl.username"}},
		"login without a way":   {func(c *kafka.Config) { c.SASL = kafka.SASL{Username: "a", Password: config.NewSecret("b")} }, []string{"sasl.mechanism"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := good()
			x.change(&c)
			var keys []string
			c.Validate(func(key, _ string, _ ...any) { keys = append(keys, key) })
			slices.Sort(keys)
			if !slices.Equal(keys, x.want) {
				t.Errorf("mistakes in %q, want %q", keys, x.want)
			}
			if _, err := kafka.New(c, kafka.Options{}); (err == nil) != (x.want == nil) {
				t.Errorf("New returned %v", err)
			}
		})
	}
}

// TestNewChecksAll: settings that came from no file are held to the tags too.
func TestNewChecksAll(t *testing.T) {
	for want, change := range map[string]func(c *kafka.Config){
		"compression": func(c *kafka.Config) { c.Compression = "brotli" },
		"timeout":     func(c *kafka.Config) { c.Timeout = -time.Second },
		"partitions":  func(c *kafka.Config) { c.Partitions = -1 },
		"mechanism": func(c *kafka.Config) {
			c.SASL = kafka.SASL{Mechanism: "GSSAPI", Username: "a", Password: config.NewSecret(password)}
		},
	} {
		c := good()
		change(&c)
		if _, err := kafka.New(c, kafka.Options{}); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), password) {
			t.Errorf("New returned %v, want an error about %s", err, want)
		}
	}
	if _, err := kafka.New(good(), kafka.Options{CompanyTopics: map[string]string{"17": "a b"}}); err == nil || !strings.Contains(err.Error(), "company 17") {
		t.Errorf("a bad topic of a company: %v", err)
	}
}
