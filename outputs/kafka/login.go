package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"

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
		if answer, err = d.authenticate(ctx, c, text); err != nil {
			return hidePassword(err, password)
		}
		done, text, err = session.Next(ctx, answer)
	}
	if err != nil {
		return &outputs.NotReady{Err: hidePassword(fmt.Errorf("log in as %s: %w", s.Username, err), password)}
	}
	return nil
}

// authenticate is one exchange of a login.
func (d *dialer) authenticate(ctx context.Context, c *conn, text []byte) ([]byte, error) {
	s := d.config.SASL
	m, err := c.roundTrip(ctx, &saslauthenticate.Request{AuthBytes: text})
	switch {
	case hungUp(err): // that is how some brokers say no
		return nil, &outputs.NotReady{Err: fmt.Errorf("log in as %s with %s: the broker hung up; check sasl.username and the password: %w", s.Username, s.Mechanism, err)}
	case err != nil:
		return nil, fmt.Errorf("log in as %s with %s: %w", s.Username, s.Mechanism, err)
	}
	r := m.(*saslauthenticate.Response)
	if r.ErrorCode != 0 {
		return nil, &outputs.NotReady{Err: fmt.Errorf("log in as %s with %s: the broker refused it; check sasl.username and the password: %w",
			s.Username, s.Mechanism, codeError(kafka.Error(r.ErrorCode), r.ErrorMessage))}
	}
	return r.AuthBytes, nil
}

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
	if password == "" || !strings.Contains(err.Error(), password) {
		return err
	}
	hidden := errors.New(strings.ReplaceAll(err.Error(), password, "***"))
	var notReady *outputs.NotReady
	if errors.As(err, &notReady) {
		return &outputs.NotReady{Err: errors.New(strings.ReplaceAll(notReady.Err.Error(), password, "***"))}
	}
	return hidden
}
