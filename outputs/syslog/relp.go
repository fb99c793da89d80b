package syslog

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/siemrelay/siemrelay/outputs"
)

// errServerClose is the receiver's announcement that it will answer nothing more.
var errServerClose = errors.New("the receiver closed the RELP session")

// relp is syslog over RELP, which has a real acknowledgement: an event is done when
// the receiver has answered its command with 200, and only then. Up to relpWindow
// events are under way at a time, one of each record. When the session ends, those without an answer are
// to be sent again.
type relp struct {
	dialer  dialer
	encoder *encoder
	session *session // nil while there is none
	text    []byte
}

// session is a link on which "open" was answered.
type session struct {
	*link
	answers <-chan answer // closed after the last one
	next    int           // number of the next command
}

// Send implements outputs.Output.
func (r *relp) Send(ctx context.Context, batch []outputs.Message) error {
	if ctx.Err() != nil {
		return fmt.Errorf("send to %s: %w", r.dialer.target, context.Cause(ctx))
	}
	if err := r.connect(ctx); err != nil {
		return explain(err)
	}
	t := newTransfer(batch)
	if err := r.transfer(ctx, t); err != nil {
		r.session.drop()
		r.session = nil
		err = explain(fmt.Errorf("send to %s: %w", r.dialer.target, err))
		if t.untouched() {
			return err
		}
		t.fail(err)
	}
	return t.outcome()
}

// connect makes sure of a session that is open. Whatever a session has left to answer
// when it is not in use is nobody's any more.
func (r *relp) connect(ctx context.Context) (err error) {
	if r.session != nil && r.session.alive() != nil {
		r.session.drop()
		r.session = nil
	}
	if r.session == nil {
		r.session, err = r.open(ctx)
	}
	return err
}

// transfer sends the batch, window by window, and notes the answers.
func (r *relp) transfer(ctx context.Context, t *transfer) error {
	idle := time.NewTimer(r.dialer.timeout)
	defer idle.Stop()
	for !t.complete() {
		r.text = r.text[:0]
		for m := t.take(r.session.next); m != nil; m = t.take(r.session.next) {
			r.text = appendFrame(r.text, r.session.next, "syslog", r.encoder.encode(m))
			r.session.next = after(r.session.next)
		}
		if err := r.session.write(ctx, r.text, r.dialer.timeout); err != nil {
			t.drain(r.session.answers)
			return err
		}
		idle.Reset(r.dialer.timeout)
		select {
		case a, ok := <-r.session.answers:
			if !ok {
				return r.session.end()
			}
			if err := t.settle(a); err != nil {
				return err
			}
		case <-idle.C:
			return fmt.Errorf("await the answer to %d events: %w", t.underway(), os.ErrDeadlineExceeded)
		case <-ctx.Done():
			t.drain(r.session.answers)
			return context.Cause(ctx)
		}
		if err := t.settleAll(r.session.answers); err != nil {
			return err
		}
	}
	return nil
}

// open connects and opens a session.
func (r *relp) open(ctx context.Context) (*session, error) {
	answers := make(chan answer, 2*relpWindow)
	l, err := r.dialer.dial(ctx, func(in io.Reader) error { return readAnswers(in, answers) })
	if err != nil {
		return nil, err
	}
	s := &session{link: l, answers: answers, next: 1}
	if err := r.handshake(ctx, s); err != nil {
		l.drop()
		return nil, fmt.Errorf("open a RELP session with %s: %w", r.dialer.target, err)
	}
	return s, nil
}

func (r *relp) handshake(ctx context.Context, s *session) error {
	const offers = "relp_version=0\nrelp_software=siemrelay\ncommands=syslog"
	a, err := s.command(ctx, "open", []byte(offers), r.dialer.timeout)
	var protocol relpError
	switch {
	case errors.As(err, &protocol):
		protocol.opening = true
		return protocol
	case err != nil:
		return err
	case a.status == 0:
		return relpError{problem: "an answer to open without a status", opening: true}
	case a.status != 200:
		return relpError{problem: fmt.Sprintf("the receiver refuses with %d %s", a.status, a.text), opening: true}
	}
	for line := range bytes.Lines(a.offers) {
		names, found := bytes.CutPrefix(bytes.TrimSpace(line), []byte("commands="))
		for name := range bytes.SplitSeq(names, []byte(",")) {
			if found && string(bytes.TrimSpace(name)) == "syslog" {
				return nil
			}
		}
	}
	return relpError{problem: "the receiver does not offer the command syslog", opening: true}
}

// command sends a command other than syslog and waits for its answer.
func (s *session) command(ctx context.Context, name string, data []byte, timeout time.Duration) (answer, error) {
	number := s.next
	s.next = after(s.next)
	if err := s.write(ctx, appendFrame(nil, number, name, data), timeout); err != nil {
		return answer{}, err
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case a, ok := <-s.answers:
		switch {
		case !ok:
			return a, s.end()
		case a.txnr != number:
			return a, noRELP("an answer to command %d, which was not sent", a.txnr)
		}
		return a, nil
	case <-timer.C:
		return answer{}, fmt.Errorf("await the answer to %s: %w", name, os.ErrDeadlineExceeded)
	case <-ctx.Done():
		return answer{}, context.Cause(ctx)
	}
}

// end is the error of a session that has ended. Its answers are closed before the
// link says why, so it waits for that.
func (s *session) end() error {
	<-s.ended
	return s.link.end()
}

// readAnswers reads a session until it ends. It never waits for whoever takes the
// answers: a receiver that answers more than it was asked breaks the protocol.
func readAnswers(in io.Reader, answers chan<- answer) error {
	defer close(answers)
	r := bufio.NewReader(in)
	var buf []byte
	for {
		f, err := readFrame(r, buf)
		if err != nil {
			return err
		}
		buf = f.data
		switch f.command {
		case "rsp":
		case "serverclose":
			return errServerClose
		default:
			return noRELP("an unknown command %q", f.command)
		}
		a, err := parseAnswer(f)
		if err != nil {
			return err
		}
		a.offers = bytes.Clone(a.offers)
		select {
		case answers <- a:
		default:
			return noRELP("more answers than commands")
		}
	}
}

func after(txnr int) int { return txnr%maxTXNR + 1 }

// Check implements outputs.Checker.
func (r *relp) Check(ctx context.Context) error {
	s, err := r.open(ctx)
	if err != nil {
		return explain(err)
	}
	return s.bye(ctx)
}

// bye closes a session in good order; a receiver that doesn't answer is left alone.
func (s *session) bye(ctx context.Context) error {
	const patience = 2 * time.Second
	_, _ = s.command(ctx, "close", nil, patience) // there is nothing left to lose
	return s.close()
}

// Close implements outputs.Output.
func (r *relp) Close() error {
	if r.session == nil {
		return nil
	}
	err := r.session.bye(context.Background())
	r.session = nil
	return err
}
