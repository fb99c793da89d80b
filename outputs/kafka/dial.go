package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/apiversions"

	"github.com/siemrelay/siemrelay/outputs"
)

// dialTimeout bounds a connection with its handshakes and its login.
const dialTimeout = 10 * time.Second

// dialer opens connections to brokers.
type dialer struct {
	config Config
	log    *slog.Logger
	now    func() time.Time

	mu sync.Mutex // guards what follows: brokers are dialled at the same time
	// good is the last TLS configuration that could be made from its files.
	good *tls.Config
	// broken says that the files can't be used now.
	broken bool
}

// dial connects, encrypts and logs in. What only a person can mend is a NotReady.
func (d *dialer) dial(ctx context.Context, address string) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, min(dialTimeout, d.config.Timeout))
	defer cancel()
	nc, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connect to broker %s: %w", address, err)
	}
	c := &conn{address: address, timeout: d.config.Timeout, now: d.now}
	if err := d.begin(ctx, c, nc); err != nil {
		_ = nc.Close()
		if ctx.Err() != nil && outputs.IsTransient(err) {
			err = context.Cause(ctx)
		}
		err = d.explain(err)
		var n *outputs.NotReady
		if errors.As(err, &n) {
			return nil, &outputs.NotReady{Err: fmt.Errorf("connect to broker %s: %w", address, n.Err)}
		}
		return nil, fmt.Errorf("connect to broker %s: %w", address, err)
	}
	return c, nil
}

// begin does all that comes before the first request.
func (d *dialer) begin(ctx context.Context, c *conn, nc net.Conn) error {
	if d.config.TLS.Enabled {
		t, err := d.tls(c.address)
		if err != nil {
			return err
		}
		encrypted := tls.Client(nc, t)
		if err := encrypted.HandshakeContext(ctx); err != nil {
			return fmt.Errorf("TLS handshake: %w", err)
		}
		nc = encrypted
	}
	c.pc = protocol.NewConn(nc, d.config.ClientID)
	if err := c.negotiate(ctx); err != nil {
		return err
	}
	if d.config.SASL.Mechanism != "" {
		return d.login(ctx, c)
	}
	return nil
}

// negotiate learns which versions of the requests the broker speaks.
func (c *conn) negotiate(ctx context.Context) error {
	m, err := c.roundTrip(ctx, &apiversions.Request{})
	if err != nil {
		return fmt.Errorf("ask for versions: %w", err)
	}
	r := m.(*apiversions.Response)
	if r.ErrorCode != 0 {
		return fmt.Errorf("ask for versions: %w", codeError(kafka.Error(r.ErrorCode), ""))
	}
	versions := map[protocol.ApiKey]int16{}
	for _, k := range r.ApiKeys {
		versions[protocol.ApiKey(k.ApiKey)] = protocol.ApiKey(k.ApiKey).SelectVersion(k.MinVersion, k.MaxVersion)
	}
	const recordBatches = 3 // the first version of Produce that takes record batches of version 2
	if versions[protocol.Produce] < recordBatches {
		return &outputs.NotReady{Err: errors.New("the broker is too old; Kafka 0.11 is the oldest that is supported")}
	}
	c.pc.SetVersions(versions)
	_, c.numbered = versions[protocol.InitProducerId]
	return nil
}

// tls makes the configuration for a connection from the files as they are now. If
// they can't be used, the last good one stays in use.
func (d *dialer) tls(address string) (*tls.Config, error) {
	t, err := d.readTLS()
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err == nil:
		d.good, d.broken = t, false
	case d.good == nil:
		return nil, &outputs.NotReady{Err: err}
	case !d.broken:
		d.broken = true
		d.log.Error("can't use the new certificates, keeping the old ones", "error", err)
	}
	t = d.good.Clone()
	if t.ServerName == "" {
		t.ServerName, _, _ = net.SplitHostPort(address)
	}
	return t, nil
}

func (d *dialer) readTLS() (*tls.Config, error) {
	c := d.config.TLS
	t := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         c.ServerName,
		InsecureSkipVerify: c.InsecureSkipVerify, //nolint:gosec // the operator's decision, which New warns of
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read tls.ca_file: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read tls.ca_file %s: there is no PEM certificate in it", c.CAFile)
		}
	}
	if c.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read tls.cert_file %s and tls.key_file %s: %w", c.CertFile, c.KeyFile, err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}

// explain turns what only a person can mend into a NotReady with what to do about it.
func (d *dialer) explain(err error) error {
	var notReady *outputs.NotReady
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var remote *net.OpError
	var plain tls.RecordHeaderError
	var hint string
	switch {
	case errors.As(err, &notReady):
		return err
	case errors.As(err, &authority):
		hint = "set tls.ca_file to the authority that signed the broker's certificate"
	case errors.As(err, &name):
		hint = "the broker's certificate is for another name; connect to that name or set tls.server_name"
	case errors.As(err, &invalid):
		hint = "renew the broker's certificate"
	case strings.Contains(err.Error(), expectsTLS):
		hint = "set tls, or name a port without TLS"
	case errors.As(err, &remote) && remote.Op == "remote error": // a TLS alert
		hint = "the broker refused our side of TLS; if it asks for client certificates, check tls.cert_file and tls.key_file"
	case errors.As(err, &plain):
		hint = "this port does not speak TLS; set tls.enabled to false or name the broker's TLS port"
	case hungUp(err) && d.config.TLS.Enabled:
		return fmt.Errorf("%w (the broker hung up; this port may not speak TLS)", err)
	case hungUp(err):
		return fmt.Errorf("%w (the broker hung up; this port may expect TLS)", err)
	default:
		return err
	}
	return &outputs.NotReady{Err: fmt.Errorf("%w: %s", err, hint)}
}

// expectsTLS is what the library says of an answer that is a TLS alert.
const expectsTLS = "expecting TLS"

func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}
