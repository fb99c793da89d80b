// Package receiver is the door: it takes webhooks over HTTP, answers each one
// honestly, and hands what it accepts to a Store.
//
// It guarantees that
//   - an event is answered with 200 only after Store.Append returned nil for it;
//   - when that 200 could not be written, or something else was answered in its
//     place, the Store is told once, as far as the connection shows it;
//   - nothing is stored that was not sent with valid credentials (unless it was
//     told to need none), to the exact path, as one JSON object within the
//     limits; and of what fails at the headers no body is read;
//   - valid credentials are never locked out, whatever failed logins came before;
//   - when it can't store, it says so with 503 and Retry-After;
//   - a body that is refused for its own fault is handed to Options.Rejects;
//   - no payload makes it answer 5xx, crash, or use memory that follows what a
//     client declares; a panic is one 503 and one line in the log;
//   - a stalled client is cut, and takes nothing from the others: also not the last
//     of the connections that there may be, unless it has shown a login.
//
// It refuses to know what a webhook means: fields, records and formats are none of
// its business, nor is what makes an event a retry: the Store says so. The order of its checks stands in door.go, the
// answers in answer.go.
package receiver

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"github.com/siemrelay/siemrelay/internal/certificate"
	"github.com/siemrelay/siemrelay/internal/login"
)

// The limits that no setting changes.
const (
	maxHeaders    = 16 << 10               // request line and header fields, in bytes
	writeBuffer   = 1 << 10                // an answer has some 200 bytes
	largeBodies   = 64 << 20               // bytes that all bodies over smallBody may take together
	largeBodyWait = 900 * time.Millisecond // with the store's four seconds, an answer within five
)

// Defaults of the Options that are zero.
const (
	DefaultPath           = "/webhooks/defense"
	DefaultMaxBody        = 1 << 20
	DefaultMaxConnections = 4096
	DefaultReadTimeout    = 10 * time.Second
	DefaultWriteTimeout   = 10 * time.Second
	DefaultIdleTimeout    = 60 * time.Second
	DefaultFailedLogins   = 1000
)

// Receipt says what became of a body that a Store took.
type Receipt struct {
	// ID is the event's id, at most 64 characters that need no escaping in JSON.
	ID string
	// Sequence is the Store's own number of the event; the receiver only hands it
	// back.
	Sequence uint64
	// Duplicate: the body is a retry of the event that ID names, and was not
	// stored again.
	Duplicate bool
}

// Store keeps accepted events. Its methods are called by many goroutines at
// once.
type Store interface {
	// Append stores the raw body of one event. When it returns nil, the body is
	// durable. It keeps nothing of body: the memory is the caller's again, and
	// reused, once it has returned. It returns within about five seconds; any
	// error becomes a 503, and nothing else.
	Append(body []byte) (Receipt, error)
	// Unanswered tells that the 200 for r, which Append returned, could not be
	// written to the connection, or that something else was answered. It is
	// called at most once for a receipt, soon after Append; after a Shutdown that
	// ran out of time also later. That it is not called proves nothing: see
	// conn.Write for what TCP can tell.
	Unanswered(r Receipt)
}

// Options says what a Server accepts and what it needs. Zero values mean the
// defaults above, where there is one.
type Options struct {
	Path           string            // the exact path, "/webhooks/defense" for example
	Credentials    []Credential      // at least one, unless InsecureNoAuth
	InsecureNoAuth bool              // with no Credentials: start, and accept from anybody
	Allow          []netip.Prefix    // networks of the senders; none: everybody
	Certificate    *certificate.Pair // offers http/1.1, the only version that fasthttp speaks; nil: plain HTTP
	MaxBody        int64             // bytes, of the body as sent and as inflated
	MaxConnections int               // fewer where the process may not open that many files
	ReadTimeout    time.Duration     // for the TLS handshake, and for headers and body together
	WriteTimeout   time.Duration     // for an answer
	IdleTimeout    time.Duration     // between two requests
	// FailedLogins is how many failed logins within a minute from one address,
	// for IPv6 from one /64, get 401; those beyond get 429.
	FailedLogins int
	Store        Store
	// Rejects is called for every body that was refused for its own fault, by
	// many goroutines at once, before the answer; nil: nothing is kept. It must
	// not block.
	Rejects  func(Rejected)
	Logger   *slog.Logger
	Registry prometheus.Registerer // nil: metrics are kept and not shown
	Now      func() time.Time      // wall clock; nil: time.Now
}

// Server is the receiving end. Its methods may be called concurrently.
type Server struct {
	path        []byte
	contentType []byte
	logins      *login.Set // nil: no login is asked for
	allow       []netip.Prefix
	certificate *certificate.Pair
	store       Store
	rejects     func(Rejected)
	logger      *slog.Logger
	metrics     *metrics
	bodies      *bodies
	answers     [outcomes]answer
	http        *fasthttp.Server
	now         func() time.Time

	maxConnections int
	readTimeout    time.Duration
	writeTimeout   time.Duration
	slack          time.Duration // see deadline

	handshakes     turns
	outage         outage
	failedLogins   *login.Failures
	failureLog     *login.Sampler
	badHandshakes  *login.Sampler
	foreignAddress *login.Sampler

	stopping chan struct{} // closed when Shutdown begins

	serving sync.WaitGroup // one for every member of conns

	mu         sync.Mutex // guards what follows
	listeners  map[net.Listener]struct{}
	conns      map[*conn]struct{}
	served     int // members of conns within max_connections
	turnedAway int // those over it, while they are told so
	strangers  strangers
}

// New checks the options. It opens nothing and starts nothing.
func New(o Options) (*Server, error) {
	o.setDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	s := &Server{
		path:           []byte(o.Path),
		contentType:    []byte("application/json"),
		certificate:    o.Certificate,
		store:          o.Store,
		rejects:        o.Rejects,
		logger:         o.Logger,
		now:            o.Now,
		answers:        answers(),
		maxConnections: withinFiles(o.MaxConnections, o.Logger),
		readTimeout:    o.ReadTimeout,
		writeTimeout:   o.WriteTimeout,
		slack:          min(o.ReadTimeout, o.WriteTimeout, o.IdleTimeout) / 16,
		stopping:       make(chan struct{}),
		listeners:      map[net.Listener]struct{}{},
		conns:          map[*conn]struct{}{},
	}
	for _, p := range o.Allow {
		s.allow = append(s.allow, unmapped(p))
	}
	if len(o.Credentials) > 0 || !o.InsecureNoAuth {
		logins, err := login.NewSet(o.Credentials)
		if err == nil && len(o.Credentials) == 0 {
			err = errors.New("check credentials: there are none, and insecure_no_auth is not set")
		}
		if err != nil {
			return nil, err
		}
		s.logins = logins
	}
	large := &budget{total: max(largeBodies, o.MaxBody), wait: largeBodyWait}
	s.bodies = newBodies(o.MaxBody, large)
	m, err := newMetrics(metricsOptions{registry: o.Registry, server: s, now: o.Now})
	if err != nil {
		return nil, err
	}
	s.metrics = m
	s.handshakes.free = max(runtime.GOMAXPROCS(0)-2, 1) // one processor is more than there are: see tuneRuntime of the command
	s.outage.logger = o.Logger
	s.failedLogins = login.NewFailures(o.FailedLogins, o.Now)
	for _, sampler := range []**login.Sampler{&s.failureLog, &s.badHandshakes, &s.foreignAddress} {
		*sampler = login.NewSampler(o.Now)
	}
	s.http = s.fasthttpServer(o)
	return s, nil
}

// fasthttpServer has every setting that matters; see each one's reason.
func (s *Server) fasthttpServer(o Options) *fasthttp.Server {
	return &fasthttp.Server{
		Handler:        s.handle,
		HeaderReceived: s.headersReceived,
		ErrorHandler:   s.readFailed,
		ConnState:      stateChanged,
		Logger:         quiet{},

		// A body is streamed, so that its buffer is ours and grows with what
		// has arrived: fasthttp's own would be allocated to the declared length.
		// Even when streaming, it waits for the lesser of 8 KiB and
		// MaxRequestBodySize before it calls the handler, hence the 1; the real
		// limit is in checkHeaders and bodies.
		StreamRequestBody:  true,
		MaxRequestBodySize: 1,
		// Otherwise a multipart body is parsed before the handler sees it.
		DisablePreParseMultipartForm: true,

		ReadBufferSize:  maxHeaders,
		WriteBufferSize: writeBuffer,
		ReadTimeout:     o.ReadTimeout,
		IdleTimeout:     o.IdleTimeout,
		// WriteTimeout is conn's own, so that it holds for every write: fasthttp
		// would not set it anew for a "100 Continue".

		// The real limit acts in admit, before TLS; this one must never bite.
		Concurrency: 2*o.MaxConnections + maxTurnedAway,

		NoDefaultServerHeader: true,
		SecureErrorLogMessage: true,
	}
}

func (o *Options) setDefaults() {
	if o.Path == "" {
		o.Path = DefaultPath
	}
	if o.MaxBody == 0 {
		o.MaxBody = DefaultMaxBody
	}
	if o.MaxConnections == 0 {
		o.MaxConnections = DefaultMaxConnections
	}
	if o.ReadTimeout == 0 {
		o.ReadTimeout = DefaultReadTimeout
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = DefaultWriteTimeout
	}
	if o.IdleTimeout == 0 {
		o.IdleTimeout = DefaultIdleTimeout
	}
	if o.FailedLogins == 0 {
		o.FailedLogins = DefaultFailedLogins
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

func (o *Options) validate() error {
	for _, c := range []struct {
		bad bool
		err error
	}{
		{o.Store == nil, errors.New("check receiver options: Store is missing")},
		{o.Logger == nil, errors.New("check receiver options: Logger is missing")},
		{!validPath(o.Path), fmt.Errorf("check path %q: it must begin with a slash and have only letters, digits and -._~!$&'()*+,;=:@%%/", o.Path)},
		{o.MaxBody < 1, fmt.Errorf("check max_body %d: it must be at least 1 byte", o.MaxBody)},
		{o.MaxConnections < 1, fmt.Errorf("check max_connections %d: it must be at least 1", o.MaxConnections)},
		{o.FailedLogins < 0, fmt.Errorf("check receiver options: FailedLogins is %d, it must be at least 1", o.FailedLogins)},
		{o.ReadTimeout < 0, fmt.Errorf("check read_timeout %s: it must be positive", o.ReadTimeout)},
		{o.WriteTimeout < 0, fmt.Errorf("check write_timeout %s: it must be positive", o.WriteTimeout)},
		{o.IdleTimeout < 0, fmt.Errorf("check idle_timeout %s: it must be positive", o.IdleTimeout)},
	} {
		if c.bad {
			return c.err
		}
	}
	for _, p := range o.Allow {
		if !p.IsValid() {
			return fmt.Errorf("check allow: %s is not a network, like 203.0.113.0/24", p)
		}
	}
	return nil
}

// validPath says whether a client can send p as a path at all (RFC 3986 section
// 3.3).
func validPath(p string) bool {
	const others = "-._~!$&'()*+,;=:@%/"
	for i := range len(p) {
		c := p[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return strings.HasPrefix(p, "/")
}

// unmapped turns ::ffff:192.0.2.0/120 into 192.0.2.0/24: peers are compared
// unmapped.
func unmapped(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96).Masked()
	}
	return p.Masked()
}
