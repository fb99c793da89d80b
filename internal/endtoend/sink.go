package endtoend

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// sink is what the receivers of this package have in common: a port that can go away
// and come back, connections that are counted, and a file that gets what was taken.
type sink struct {
	path    string
	address string // host:port, the same for its whole life
	serve   func(net.Conn)
	running sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener // nil while it is down
	conns    map[net.Conn]bool
	file     *os.File
	out      *bufio.Writer
	taken    int
	problems []string
}

// open begins the file anew and listens on a port of 127.0.0.1, 0 for any.
func (s *sink) open(path, address string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	s.path, s.address, s.file, s.out, s.conns = path, address, f, bufio.NewWriterSize(f, 1<<18), map[net.Conn]bool{}
	return s.Up()
}

// Path is the file that gets a line for each event, before the event is confirmed.
func (s *sink) Path() string { return s.path }

// Address is host:port.
func (s *sink) Address() string { return s.address }

// Up listens, if it does not.
func (s *sink) Up() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		return nil
	}
	l, err := net.Listen("tcp", s.address)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", s.address, err)
	}
	s.address, s.listener = l.Addr().String(), l
	s.running.Go(func() { s.accept(l) }) // until Down
	return nil
}

func (s *sink) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		down := s.listener != l
		if !down {
			s.conns[c] = true
		}
		s.mu.Unlock()
		if down {
			c.Close()
			return
		}
		s.running.Go(func() { // until the peer ends it, or Down
			s.serve(c)
			c.Close()
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		})
	}
}

// Down ends every connection and listens no more, until Up.
func (s *sink) Down() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return
	}
	s.listener.Close()
	s.listener = nil
	for c := range s.conns {
		c.Close()
	}
}

// Quiet waits until there is no connection: then everything that a process which
// has ended ever sent was taken.
func (s *sink) Quiet() error {
	for deadline := time.Now().Add(Patience); ; time.Sleep(time.Millisecond) { // a poll
		s.mu.Lock()
		open := len(s.conns)
		s.mu.Unlock()
		if open == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("await the end of connections to %s: %d are open", s.address, open)
		}
	}
}

// Taken is how many events it has taken, repeated ones too.
func (s *sink) Taken() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}

// Close ends it, and returns what was wrong with what it got.
func (s *sink) Close() error {
	s.Down()
	s.running.Wait()
	errs := []error{s.out.Flush(), s.file.Close()}
	for _, p := range s.problems[:min(len(s.problems), 10)] {
		errs = append(errs, errors.New(p))
	}
	return errors.Join(errs...)
}

// record writes one line, which flush makes visible.
func (s *sink) record(line []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken++
	if _, err := s.out.Write(line); err != nil {
		return err
	}
	return s.out.WriteByte('\n')
}

func (s *sink) flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Flush()
}

func (s *sink) problem(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.problems = append(s.problems, fmt.Sprintf(format, args...))
}
