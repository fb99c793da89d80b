package syslog

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/siemrelay/siemrelay/outputs"
)

// lookup is how long a datagram goes to the address that the receiver's name had.
const lookup = time.Minute

// datagram is syslog over UDP: one message in one datagram. Done means handed to the
// network and nothing more. That nobody listens is seen only if the receiver's system
// says so, and then too late to tell which message it was about.
type datagram struct {
	dialer  dialer
	encoder *encoder
	conn    *net.UDPConn
	dialled time.Time
}

// Send implements outputs.Output.
func (d *datagram) Send(ctx context.Context, batch []outputs.Message) error {
	if ctx.Err() != nil {
		return fmt.Errorf("send to %s: %w", d.dialer.target, context.Cause(ctx))
	}
	if err := d.connect(ctx); err != nil {
		return err
	}
	if err := d.write(ctx, batch); err != nil {
		d.drop()
		return fmt.Errorf("send to %s: %w", d.dialer.target, err)
	}
	return nil
}

func (d *datagram) write(ctx context.Context, batch []outputs.Message) error {
	if err := d.conn.SetWriteDeadline(time.Now().Add(d.dialer.timeout)); err != nil {
		return err
	}
	for i := range batch {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		_, err := d.conn.Write(d.encoder.encode(&batch[i]))
		if errors.Is(err, syscall.EMSGSIZE) {
			return &outputs.NotReady{Err: fmt.Errorf("%w: lower max_message_size", err)}
		}
		if err != nil {
			return err
		}
	}
	return pendingError(d.conn)
}

func (d *datagram) connect(ctx context.Context) error {
	if d.conn != nil && time.Since(d.dialled) > lookup {
		d.drop()
	}
	if d.conn != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, d.dialer.timeout)
	defer cancel()
	var nd net.Dialer
	conn, err := nd.DialContext(ctx, "udp", d.dialer.target.hostPort())
	if err != nil {
		return fmt.Errorf("look up %s: %w", d.dialer.target, err)
	}
	d.conn, d.dialled = conn.(*net.UDPConn), time.Now()
	return nil
}

func (d *datagram) drop() {
	if d.conn != nil {
		_ = d.conn.Close()
		d.conn = nil
	}
}

// Check implements outputs.Checker. It finds out no more than that the receiver's
// name has an address.
func (d *datagram) Check(ctx context.Context) error {
	defer d.drop()
	return d.connect(ctx)
}

// Warnings are what an operator should know, one sentence each.
func (d *datagram) Warnings() []string {
	return []string{d.dialer.target.String() + " confirms nothing: over UDP an event counts as sent, never as delivered, once it is handed to the network, and whether it arrived nobody knows; use relp://, tls:// or tcp:// where the receiver has it"}
}

// Unconfirmed implements outputs.Unconfirmed.
func (d *datagram) Unconfirmed() bool { return true }

// Close implements outputs.Output.
func (d *datagram) Close() error {
	d.drop()
	return nil
}
