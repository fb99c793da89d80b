package elasticsearch

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/siemrelay/siemrelay/internal/config"
)

// Config is the `elasticsearch` block of an output.
type Config struct {
	URLs    []string `yaml:"urls" hide:"true" doc:"The nodes, or a load balancer, each https://host:port; one that does not answer is left out for a while. Either this or cloud_id."`
	CloudID string   `yaml:"cloud_id" hide:"true" doc:"The Cloud ID of a deployment on Elastic Cloud, instead of urls."`

	APIKey   config.Secret `yaml:"api_key" doc:"The API key, encoded as Kibana shows it, or id:key. An api_key_file is read again when it changes. Either this or username and password."`
	Username string        `yaml:"username" hide:"true" doc:"The user name."`
	Password config.Secret `yaml:"password" doc:"The password. A password_file is read again when it changes."`

	Flavor    string `yaml:"flavor" oneof:"auto,elasticsearch,opensearch" doc:"The product. auto asks the first time that a reply does not say."`
	Namespace string `yaml:"namespace" required:"a namespace such as default" doc:"The last part of the data streams' names, logs-defensecom.threat-NAMESPACE, for companies that have none of their own: lower case, no hyphen, at most 100 characters."`
	Latest    bool   `yaml:"latest" doc:"Also keep one document for each threat and ticket with its latest state, in defensecom-latest-threat and defensecom-latest-ticket, which the dashboard's numbers of what is open now need."`

	Timeout time.Duration `yaml:"timeout" min:"1s" max:"10m" doc:"The longest time that sending one batch may take, until the reply is read."`
	Gzip    bool          `yaml:"gzip" doc:"Compress what is sent."`

	TLS TLS `yaml:"tls"`
}

// TLS says whom to trust. The files are read again for each new connection.
type TLS struct {
	CAFile      string `yaml:"ca_file" doc:"PEM file with the authorities that the server's certificate must come from, instead of those of the system. Read again for each new connection."`
	Fingerprint string `yaml:"fingerprint" doc:"SHA-256 of the server's certificate or of its authority's, in hexadecimal, as Elasticsearch prints it when it starts first. Instead of ca_file."`
	CertFile    string `yaml:"cert_file" doc:"PEM file with a client certificate, for servers that ask for one. Read again for each new connection."`
	KeyFile     string `yaml:"key_file" doc:"PEM file with the private key of cert_file. Read again for each new connection."`
	ServerName  string `yaml:"server_name" doc:"The name that the server's certificate must have, where it isn't the host of the URL."`

	InsecureSkipVerify bool `yaml:"insecure_skip_verify" doc:"Take any certificate: anybody on the way can then read and change everything, and learn the password. For a test only."`
}

// Values of Config.Flavor.
const (
	flavorAuto          = "auto"
	flavorElasticsearch = "elasticsearch"
	flavorOpenSearch    = "opensearch"
)

// Default returns the settings that a configuration starts from. URLs has no default.
func Default() Config {
	return Config{Flavor: flavorAuto, Namespace: "default", Timeout: time.Minute, Gzip: true}
}

// namespaceForm is what Elasticsearch takes for data_stream.namespace, narrowed to
// names that need no escaping anywhere.
var namespaceForm = regexp.MustCompile(`^[a-z0-9_.]{1,100}$`)

// Validate reports what the tags can't say.
func (c *Config) Validate(report func(key, format string, args ...any)) {
	switch {
	case len(c.URLs) == 0 && c.CloudID == "":
		report("urls", "is missing; give at least one, such as https://es.example.com:9200, or a cloud_id")
	case len(c.URLs) > 0 && c.CloudID != "":
		report("cloud_id", "is given together with urls; keep one of the two")
	}
	for i, text := range c.URLs {
		if problem := urlProblem(text); problem != "" {
			report(fmt.Sprintf("urls[%d]", i), "%s", problem)
		}
	}
	if c.CloudID != "" && !isCloudID(c.CloudID) {
		report("cloud_id", "is no Cloud ID; copy it from the deployment's page, it is a name, a colon and a long text")
	}
	c.validateLogin(report)
	if !namespaceForm.MatchString(c.Namespace) {
		report("namespace", "is no namespace; use a to z, 0 to 9, dot and underscore, at most 100")
	}
	c.TLS.validate(report)
}

func (c *Config) validateLogin(report func(key, format string, args ...any)) {
	basic := c.Username != "" || c.Password.IsSet()
	switch {
	case c.APIKey.IsSet() && basic:
		report("api_key", "is given together with username or password; keep one of the two")
	case c.Username != "" && !c.Password.IsSet():
		report("password", "is missing; a username needs it, or a password_file")
	case c.Username == "" && c.Password.IsSet():
		report("username", "is missing; a password needs it")
	case strings.Contains(c.Username, ":"):
		report("username", "has a colon in it, which RFC 7617 does not allow")
	}
	if c.APIKey.IsSet() && c.Flavor == flavorOpenSearch {
		report("api_key", "is something that OpenSearch does not know; give username and password")
	}
}

func (t TLS) validate(report func(key, format string, args ...any)) {
	if t.Fingerprint != "" {
		if _, err := parseFingerprint(t.Fingerprint); err != nil {
			report("tls.fingerprint", "is no SHA-256 in hexadecimal, which has 64 digits")
		}
		if t.CAFile != "" {
			report("tls.fingerprint", "is given together with ca_file; keep one of the two")
		}
	}
	if t.CertFile != "" && t.KeyFile == "" {
		report("tls.key_file", "is missing; cert_file needs it")
	}
	if t.KeyFile != "" && t.CertFile == "" {
		report("tls.cert_file", "is missing; key_file needs it")
	}
	if t.InsecureSkipVerify && (t.CAFile != "" || t.Fingerprint != "") {
		report("tls.insecure_skip_verify", "means that ca_file and fingerprint are not used; remove one of the two")
	}
}

// urlProblem says what is wrong with the URL of a node. It never repeats it, because
// a password may be in it.
func urlProblem(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "":
		return "is no address of a node; write https://host:port"
	case u.User != nil:
		return "has a user name in it; use api_key, or username and password"
	case u.RawQuery != "" || u.Fragment != "":
		return "has a query or a fragment, which a node has no use for; write https://host:port"
	}
	return ""
}

// isCloudID tells whether go-elasticsearch can take the text apart into a host.
func isCloudID(text string) bool {
	_, encoded, found := strings.Cut(text, ":")
	data, err := base64.StdEncoding.DecodeString(encoded)
	parts := strings.Split(string(data), "$")
	return found && err == nil && len(parts) >= 2 && parts[0] != "" && parts[1] != "" &&
		urlProblem("https://"+parts[1]+"."+parts[0]) == ""
}

func parseFingerprint(text string) ([]byte, error) {
	sum, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(text), ":", ""))
	if err == nil && len(sum) != 32 {
		err = fmt.Errorf("has %d bytes, not 32", len(sum))
	}
	return sum, err
}

// check returns every mistake, those against the tags too: New is also called
// with settings that came from no file.
func (c *Config) check() error {
	var errs []error
	wrong := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("check elasticsearch output: %s %s", key, fmt.Sprintf(format, args...)))
	}
	switch c.Flavor {
	case flavorAuto, flavorElasticsearch, flavorOpenSearch:
	default:
		wrong("flavor", "%q is unknown; one of auto, elasticsearch, opensearch", c.Flavor)
	}
	if c.Timeout <= 0 {
		wrong("timeout", "%v is too short; give at least 1s", c.Timeout)
	}
	c.Validate(wrong)
	return errors.Join(errs...)
}

// secrets lists every form in which a secret of the configuration could come back
// in a text of the server.
func (c *Config) secrets() []string {
	var list []string
	if key := c.APIKey.Value(); key != "" {
		list = append(list, key, encodedKey(key))
		if decoded, err := base64.StdEncoding.DecodeString(key); err == nil {
			list = append(list, string(decoded))
		}
	}
	if password := c.Password.Value(); password != "" {
		list = append(list, password, base64.StdEncoding.EncodeToString([]byte(c.Username+":"+password)))
	}
	return list
}

// authorization is the value of the header, "" for none.
func (c *Config) authorization() string {
	switch {
	case c.APIKey.IsSet():
		return "ApiKey " + encodedKey(c.APIKey.Value())
	case c.Username != "":
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(c.Username+":"+c.Password.Value()))
	}
	return ""
}

// encodedKey takes an API key as Kibana shows it, or as id:key.
func encodedKey(key string) string {
	if strings.Contains(key, ":") { // which base64 never has
		return base64.StdEncoding.EncodeToString([]byte(key))
	}
	return key
}
