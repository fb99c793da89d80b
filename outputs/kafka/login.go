package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/saslauthenticate"
	"github.com/segmentio/kafka-go/protocol/saslhandshake"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"

	"github.com/siemrelay/siemrelay/outputs"
)

// login logs in on a new connection, with the password as it is now.
func (d *dialer) login(ctx context.Context, c *conn) error {
	s := d.config.SASL
	password := s.Password.Value()
	mechanism, err := mechanismOf(s.Mechanism, s.Username, password)
	if err != nil {
		return &outputs.NotReady{Err: err}
	}
	m, err := c.roundTrip(ctx, &saslhandshake.Request{Mechanism: s.Mechanism})
	if err != nil {
		return fmt.Errorf("begin login with %s: %w", s.Mechanism, err)
	}
	if r := m.(*saslhandshake.Response); r.ErrorCode != 0 {
		return &outputs.NotReady{Err: fmt.Errorf("log in: the broker does not take %s on this port, but %s; set sasl.mechanism or name another port",
			s.Mechanism, clip(strings.Join(r.Mechanisms, ", ")))}
	}
	session, text, err := mechanism.Start(ctx)
	for done := false; !done && err == nil; {
		var answer []byte
		if answer, err = d.authenticate(ctx, c, exchange{text, password}); err != nil {
			return hidePassword(err, password)
		}
		done, text, err = session.Next(ctx, answer)
	}
	if err != nil {
		return &outputs.NotReady{Err: hidePassword(fmt.Errorf("log in as %s: %w", s.Username, err), password)}
	}
	return nil
}

// exchange is what a login says, and what its errors must not.
type exchange struct {
	text     []byte
	password string
}

// authenticate is one exchange of a login.
func (d *dialer) authenticate(ctx context.Context, c *conn, x exchange) ([]byte, error) {
	s := d.config.SASL
	m, err := c.roundTrip(ctx, &saslauthenticate.Request{AuthBytes: x.text})
	switch {
	case hungUp(err): // that is how some brokers say no
		return nil, &outputs.NotReady{Err: fmt.Errorf("log in as %s with %s: the broker hung up; check sasl.username and the password: %w", s.Username, s.Mechanism, err)}
	case err != nil:
		return nil, fmt.Errorf("log in as %s with %s: %w", s.Username, s.Mechanism, err)
	}
	r := m.(*saslauthenticate.Response)
	if r.ErrorCode != 0 {
		said := hide(r.ErrorMessage, x.password) // before it is clipped, maybe inside the password
		return nil, &outputs.NotReady{Err: fmt.Errorf("log in as %s with %s: the broker refused it; check sasl.username and the password: %w",
			s.Username, s.Mechanism, codeError(kafka.Error(r.ErrorCode), said))}
	}
	if lasts := time.Duration(r.SessionLifetimeMs) * time.Millisecond; lasts > 0 {
		c.until = c.now().Add(lasts - lasts/lifeMargin)
	}
	return r.AuthBytes, nil
}

// lifeMargin: a connection is given up a lifeMarginth of its time before the broker ends
// the login (connections.max.reauth.ms), so that no request comes upon that.
const lifeMargin = 10

func mechanismOf(name, username, password string) (sasl.Mechanism, error) {
	algorithm := scram.SHA512
	switch name {
	case "PLAIN":
		return plain.Mechanism{Username: username, Password: password}, nil
	case "SCRAM-SHA-256":
		algorithm = scram.SHA256
	}
	m, err := scram.Mechanism(algorithm, username, password)
	if err != nil {
		return nil, errors.New("log in: the user name or the password holds a character that SCRAM does not allow (RFC 4013)")
	}
	return m, nil
}

// hidePassword keeps a password out of an error that repeats what a broker said.
func hidePassword(err error, password string) error {
	if hide(err.Error(), password) == err.Error() {
		return err
	}
	var notReady *outputs.NotReady
	if errors.As(err, &notReady) {
		return &outputs.NotReady{Err: errors.New(hide(notReady.Err.Error(), password))}
	}
	return errors.New(hide(err.Error(), password))
}

func hide(text, password string) string {
	if password == "" {
		return text
	}
	return strings.ReplaceAll(text, password, "***")
}
