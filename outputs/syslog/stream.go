package syslog

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/siemrelay/siemrelay/outputs"
)

// refusalTime is how long the first batch of a TLS connection is held at least: with
// TLS 1.3 a receiver refuses our certificate only after we took the connection for
// established.
const refusalTime = 200 * time.Millisecond

// stream is syslog over TCP or TLS. Nobody confirms anything there, so it is guarded:
// a batch is done when the connection was up before it, all of it was written, the
// receiver's kernel has confirmed the last byte, and the connection is still up after
// the hold. Until then it is all to be sent again. What it can't see is a receiver
// that dies later than that, with the batch unread in its kernel's buffer.
type stream struct {
	dialer  dialer
	encoder *encoder
	hold    time.Duration
	link    *link  // nil while there is none
	text    []byte // kept for its room
}

// portion is about how much is written at a time.
const portion = 256 << 10

// Send implements outputs.Output.
func (s *stream) Send(ctx context.Context, batch []outputs.Message) error {
	if ctx.Err() != nil {
		return fmt.Errorf("send to %s: %w", s.dialer.target, context.Cause(ctx))
	}
	if err := s.connect(ctx); err != nil {
		return explain(err)
	}
	if err := s.deliver(ctx, batch); err != nil {
		s.link.drop()
		s.link = nil
		return explain(fmt.Errorf("send to %s: %w", s.dialer.target, err))
	}
	s.link.fresh = false
	return nil
}

// connect makes sure of a connection whose other end is there. What was sent over an
// older one was safe before it ended.
func (s *stream) connect(ctx context.Context) (err error) {
	if s.link != nil && s.link.alive() != nil {
		s.link.drop()
		s.link = nil
	}
	if s.link == nil {
		s.link, err = s.dialer.dial(ctx, discard)
	}
	return err
}

func (s *stream) deliver(ctx context.Context, batch []outputs.Message) error {
	if err := s.write(ctx, batch); err != nil {
		return err
	}
	if err := s.confirmed(ctx); err != nil {
		return err
	}
	hold := s.hold
	if s.link.fresh && s.dialer.target.secure() {
		hold = max(hold, refusalTime)
	}
	if hold > 0 {
		if err := s.link.sleep(ctx, hold); err != nil {
			return err
		}
	}
	return s.link.alive()
}

// write writes the batch, some messages at a time, so that it needs no room for all of
// them.
func (s *stream) write(ctx context.Context, batch []outputs.Message) error {
	s.text = s.text[:0]
	for i := range batch {
		s.text = s.encoder.append(s.text, &batch[i])
		if len(s.text) < portion && i < len(batch)-1 {
			continue
		}
		text := s.text
		if s.text = s.text[:0]; cap(s.text) > 4*portion {
			s.text = nil
		}
		if err := s.link.write(ctx, text, s.dialer.timeout); err != nil {
			return err
		}
	}
	return nil
}

// confirmed waits until the kernel's send queue is empty, for as long as it gets
// shorter now and then.
func (s *stream) confirmed(ctx context.Context) error {
	last, progress := -1, time.Now()
	for pause := 50 * time.Microsecond; ; pause = min(2*pause, 10*time.Millisecond) {
		n, err := unconfirmed(s.link.tcp)
		switch {
		case err != nil:
			return err
		case n == 0:
			return nil
		case n != last:
			last, progress = n, time.Now()
		case time.Since(progress) > s.dialer.timeout:
			return fmt.Errorf("await the confirmation of %d bytes: %w", n, os.ErrDeadlineExceeded)
		}
		if err := s.link.sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// Check implements outputs.Checker.
func (s *stream) Check(ctx context.Context) error {
	l, err := s.dialer.dial(ctx, discard)
	if err != nil {
		return explain(err)
	}
	defer l.drop()
	if s.dialer.target.secure() {
		err = l.sleep(ctx, refusalTime)
	}
	if err == nil {
		err = l.alive()
	}
	if err != nil {
		return explain(fmt.Errorf("connect to %s: %w", s.dialer.target, err))
	}
	return nil
}

// Close implements outputs.Output.
func (s *stream) Close() error {
	if s.link == nil {
		return nil
	}
	err := s.link.close()
	s.link = nil
	return err
}
