package config

import (
	"net/netip"
	"time"
)

// Config is everything that siemrelay can be told. Load makes it from a file;
// Default is what a file starts from.
type Config struct {
	Receiver    Receiver    `yaml:"receiver"`
	Spool       Spool       `yaml:"spool"`
	DeadLetters DeadLetters `yaml:"dead_letters"`
	Admin       Admin       `yaml:"admin"`
	// Mappings are paths; MappingFiles has what is in them.
	Mappings []string `yaml:"mappings" doc:"Mapping files, merged over the built-in one in this order: new source types, labels, severities and words without a new program."`
	// Companies has an entry for each company id, as it stands in a webhook.
	Companies map[string]Company `yaml:"companies" doc:"What a company_id stands for, with the id as the key."`
	// LinkHosts is in lower case.
	LinkHosts []string `yaml:"link_hosts" doc:"Hosts that may become a link: a payload's url is written to event.url, and to CEF's request, only if it is https and its host is listed here. Names only, without scheme or port; they are compared without case. An empty list makes no links."`
	Outputs   []Output `yaml:"outputs" doc:"Where events go; at least one. Every event goes to every output whose when lets it pass; none waits for another."`
	Log       Log      `yaml:"log"`

	// MappingFiles are the files of Mappings, in the same order.
	MappingFiles []MappingFile `yaml:"-"`

	// Warnings are what Load found unwise but not wrong, in the order of the file.
	Warnings []Mistake `yaml:"-"`
}

// Receiver is the door for webhooks.
type Receiver struct {
	// Listen is host:port; an empty host is every address.
	Listen string `yaml:"listen" doc:"Address and port on which webhooks arrive. An empty host, as in :8443, is every address of the machine."`
	// Path begins with / and holds no escapes, no query and no empty or dot segment.
	Path string `yaml:"path" doc:"The exact path of the webhook; any other gets 404."`
	// TLS is empty exactly when InsecureHTTP is set.
	TLS TLS `yaml:"tls"`
	// InsecureHTTP makes the receiver speak plain HTTP.
	InsecureHTTP bool `yaml:"insecure_http" doc:"Speak plain HTTP instead of HTTPS. Only behind a proxy on a trusted network that ends TLS: passwords and events are readable on the way. With it, tls must not be given."`
	// InsecureNoAuth lets webhooks in without credentials.
	InsecureNoAuth bool `yaml:"insecure_no_auth" doc:"Take webhooks from anybody who can reach the port. With it, basic_auth must not be given."`
	// BasicAuth is empty exactly when InsecureNoAuth is set.
	BasicAuth []BasicAuth `yaml:"basic_auth" doc:"The logins that the sender may use; needed unless insecure_no_auth is true. List the old and the new one while you change a password."`
	// Allow is masked and free of IPv4-mapped addresses; empty means anybody.
	Allow []netip.Prefix `yaml:"allow" doc:"Networks (203.0.113.0/24) or single addresses that may connect; a connection from any other is closed at once. Empty means everybody. Behind a proxy every connection comes from the proxy, so let the proxy do this."`
	// MaxBody limits a body both as sent and inflated.
	MaxBody        Size          `yaml:"max_body" min:"1KiB" max:"64MiB" doc:"The largest body, also after inflating; a larger one gets 413."`
	MaxConnections int           `yaml:"max_connections" min:"1" max:"100000" doc:"Connections at one time. One more takes the place of the oldest that has not logged in yet; where all have, it is refused."`
	ReadTimeout    time.Duration `yaml:"read_timeout" min:"1ms" max:"10m" doc:"The longest time that one request, headers and body, may take to arrive."`
	WriteTimeout   time.Duration `yaml:"write_timeout" min:"1ms" max:"10m" doc:"The longest time that an answer may take to be sent."`
	IdleTimeout    time.Duration `yaml:"idle_timeout" min:"1ms" max:"1h" doc:"How long a connection may stay open between two requests."`
}

// TLS names a certificate and its key. Both are given, or none.
type TLS struct {
	CertFile string `yaml:"cert_file" doc:"PEM file with the server's certificate, followed by its intermediate certificates. Needed unless insecure_http is true. Read again when it changes."`
	KeyFile  string `yaml:"key_file" doc:"PEM file with the certificate's private key. Needed unless insecure_http is true. Read again when it changes."`
}

// BasicAuth is one login of the sender.
type BasicAuth struct {
	// Username holds no colon (RFC 7617 section 2).
	Username string `yaml:"username" hide:"true" required:"the user name that is set at Defense.com" doc:"The user name; it can't hold a colon."`
	Password Secret `yaml:"password" required:"the password that is set at Defense.com" doc:"The password."`
}

// Spool is the store on disk between the door and the outputs.
type Spool struct {
	Dir       string        `yaml:"dir" required:"the folder that keeps accepted events" doc:"Folder that keeps accepted events. One siemrelay at a time uses it; it is made when it is missing."`
	MaxSize   Size          `yaml:"max_size" min:"1MiB" max:"1024TiB" doc:"The most that the spool may take. When it is reached, delivered events go first, oldest first; when only undelivered ones are left, new webhooks get 503."`
	MinFree   Size          `yaml:"min_free" max:"1024TiB" doc:"Free space to leave on the disk; new webhooks get 503 while there is less."`
	Retention time.Duration `yaml:"retention" max:"87600h" doc:"How long delivered events are kept, if max_size allows it."`
	// RetryWindow is 0 if every delivery is a new event.
	RetryWindow  time.Duration `yaml:"retry_window" max:"24h" doc:"How long a delivery is remembered, to know the sender's retry of it. 0 makes a new event of every delivery. The sender retries for a quarter of an hour."`
	RetryEntries int           `yaml:"retry_entries" min:"1" max:"5000000" doc:"The most deliveries that are remembered, the newest. A retry of a forgotten one becomes a second event."`
}

// DeadLetters are the events that an output refused for good.
type DeadLetters struct {
	MaxSize Size `yaml:"max_size" min:"1MiB" max:"1024TiB" doc:"The most that dead letters may take, and one batch of each output more. When it is reached, an output that has another one waits until some are replayed or dropped; nothing is lost by that."`
}

// Company is what is known of one company id.
type Company struct {
	Name string `yaml:"name" doc:"Name for people, written to organization.name."`
	// Namespace is empty for the output's own, else one that Elasticsearch takes.
	Namespace string `yaml:"namespace" doc:"The company's own data_stream.namespace in ECS documents, instead of the output's: lower case, at most 100 bytes, no hyphen, space or control character and none of \\ / * ? \" < > | , # :."`
	// Topic is empty for the output's own, else one that Kafka takes.
	Topic string `yaml:"topic" doc:"The topic of the company's events in every kafka output, instead of the output's: letters, digits, dot, hyphen and underscore, at most 249."`
}

// MappingFile is a mapping file as it was when the configuration was read.
type MappingFile struct {
	// Name is the path as it stands in the configuration, with expansions that are
	// not expanded: safe to show.
	Name string
	Data []byte
}

// Admin is the listener for the console, health checks and metrics.
type Admin struct {
	// Listen is host:port; without TLS and Users it is a loopback host.
	Listen string `yaml:"listen" doc:"Address and port of the console, health checks and metrics. Beyond a loopback address (127.0.0.1, ::1 or localhost) both tls and users are needed."`
	// TLS is empty for plain HTTP.
	TLS AdminTLS `yaml:"tls"`
	// Users are none where whoever reaches the loopback address may do everything.
	Users []AdminUser `yaml:"users" doc:"Who may log in to the console. Without users whoever is on this machine sees and changes everything there; with them, metrics and the status need a login too."`
	// Hosts are names or addresses in lower case; with them there are Users.
	Hosts []string `yaml:"hosts" doc:"Further names or addresses by which the console is reached, that of a proxy in front of it for example; a request for any other is refused. Loopback names, the address that a connection came in on, the host of listen and the names in the certificate of tls are always allowed. With hosts, users are needed."`
}

// AdminTLS is the certificate of the admin listener.
type AdminTLS struct {
	CertFile string `yaml:"cert_file" doc:"PEM file with the console's certificate, followed by its intermediate certificates. Needed beyond a loopback address. It may be that of receiver.tls. Read again when it changes."`
	KeyFile  string `yaml:"key_file" doc:"PEM file with the certificate's private key. Read again when it changes."`
}

// AdminUser is somebody who may log in to the console.
type AdminUser struct {
	// Username holds no colon (RFC 7617 section 2).
	Username string `yaml:"username" hide:"true" required:"a name for the login" doc:"The user name; it can't hold a colon, and each is given once."`
	Password Secret `yaml:"password" required:"a password for the login" doc:"The password. When it changes, whoever is logged in with the old one has to log in again."`
	// Role is viewer or operator.
	Role string `yaml:"role" oneof:"viewer,operator" doc:"viewer sees everything and changes nothing; operator also replays, drops, accepts and sends test events."`
}

// Output is one destination. Settings is what OutputType.Settings gave, filled
// from the block that is named like the type.
type Output struct {
	Name   string `yaml:"name" required:"a name that stays the same for as long as the output is used" doc:"Name in logs, metrics and file names: a to z, 0 to 9, dot, hyphen and underscore, a letter or digit first, at most 63 characters. A new name is a new output, with no memory of what was delivered under the old one."`
	Type   string `yaml:"type" required:"the kind of destination" oneof:"@types" doc:"The kind of destination. Its settings stand in a block of the same name beside it."`
	Format string `yaml:"format" oneof:"@formats" doc:"How an event is written."`
	// When is empty, or what Options.CheckFilter takes.
	When          string `yaml:"when" multiline:"true" doc:"Which events go to this output: an expression such as kind == \"threat\" && severity >= 47, which may have several lines. Empty means every event. The others count as filtered."`
	Batch         Batch  `yaml:"batch"`
	Retry         Retry  `yaml:"retry"`
	Start         string `yaml:"start" oneof:"now,oldest" doc:"Where a new output begins: with the next event, or with the oldest that the spool still has. The first outputs of a new spool begin with its first event."`
	EventOriginal bool   `yaml:"event_original" doc:"Write the raw webhook body to event.original too."`

	Settings any `yaml:"-"`
	// Where is the place of Settings in the file, for a mistake that only the caller
	// can see: what two outputs have in common.
	Where Mistake `yaml:"-"`
}

// Batch says when a batch is complete: as soon as one of the limits is reached.
type Batch struct {
	MaxEvents int           `yaml:"max_events" min:"1" max:"100000" doc:"The most events in one batch. A syslog output over TCP or TLS has a default of its own, see its hold."`
	MaxBytes  Size          `yaml:"max_bytes" min:"1KiB" max:"256MiB" doc:"The most bytes in one batch, counted in the output's format; one event that is larger goes alone. A syslog output over TCP or TLS has a default of its own, see its hold."`
	MaxWait   time.Duration `yaml:"max_wait" min:"1ms" max:"1m" doc:"The longest time that an event waits for others to share its batch."`
}

// Retry is how long an output waits before it tries a failed batch again: a
// random time up to a limit, which doubles from Min to Max ("full jitter").
type Retry struct {
	Min time.Duration `yaml:"min" min:"1ms" max:"10m" doc:"Limit of the random wait before the first retry. It doubles with every further one."`
	Max time.Duration `yaml:"max" min:"1ms" max:"10m" doc:"The highest that this limit becomes."`
}

// Log is the process's own log, on stderr.
type Log struct {
	Level  string `yaml:"level" oneof:"debug,info,warn,error" doc:"The least important lines to write."`
	Format string `yaml:"format" oneof:"auto,json,text" doc:"How the log, which goes to stderr, is written; auto is text on a terminal and JSON elsewhere."`
}

// Default returns the configuration that a file starts from. It lacks what has
// no default: a certificate, credentials and outputs.
func Default() *Config {
	return &Config{
		Receiver: Receiver{
			Listen:         "0.0.0.0:8443",
			Path:           "/webhooks/defense",
			MaxBody:        MiB,
			MaxConnections: 4096,
			ReadTimeout:    10 * time.Second,
			WriteTimeout:   10 * time.Second,
			IdleTimeout:    60 * time.Second,
		},
		Spool: Spool{
			Dir:          "/var/lib/siemrelay",
			MaxSize:      10 * GiB,
			MinFree:      512 * MiB,
			Retention:    168 * time.Hour,
			RetryWindow:  time.Hour,
			RetryEntries: 200_000,
		},
		DeadLetters: DeadLetters{MaxSize: GiB},
		Admin:       Admin{Listen: "127.0.0.1:9464"},
		LinkHosts:   []string{"my.defense.com"},
		Log:         Log{Level: "info", Format: "auto"},
	}
}

// SetDefaults fills an output with all that has a default whatever its type.
func (o *Output) SetDefaults() {
	o.Batch = Batch{MaxEvents: 1000, MaxBytes: 5 * MiB, MaxWait: 500 * time.Millisecond}
	o.Retry = Retry{Min: 500 * time.Millisecond, Max: 30 * time.Second}
	o.Start = "now"
	o.EventOriginal = true
}

// SetDefaults gives a user the role that can do no harm.
func (u *AdminUser) SetDefaults() { u.Role = "viewer" }

// DefaultOutput returns an output of the type with every default, for a
// configuration that is made without a file.
func DefaultOutput(name string, t OutputType) Output {
	var o Output
	o.SetDefaults()
	o.Name, o.Type, o.Format, o.Settings = name, t.Name, t.DefaultFormat, t.Settings()
	o.Batch.suit(o.Settings, func(string) bool { return false })
	return o
}
