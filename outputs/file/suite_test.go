package file_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/file"
	"github.com/siemrelay/siemrelay/outputs/outputstest"
)

func TestSuite(t *testing.T) {
	for name, size := range map[string]int{"one file": 0, "rotated often": 4 << 10} {
		t.Run(name, func(t *testing.T) {
			outputstest.Run(t, outputstest.Harness{KeepsOrder: true, Setup: func(tb testing.TB) outputstest.Subject {
				path := filepath.Join(tb.TempDir(), "dir", "events")
				fs := newFaultFS(tb)
				return outputstest.Subject{
					New: func() (outputs.Output, error) {
						return newOutput(tb, path, file.Options{FS: fs}, maxSize(size), func(c *file.Config) { c.Keep = 1000 }), nil
					},
					Received: func() [][]byte {
						var bodies [][]byte
						for _, line := range readAll(tb, path) {
							bodies = append(bodies, []byte(line))
						}
						return bodies
					},
					Break: func() { fs.failAlways(syscall.ENOSPC) },
					Mend:  func() { fs.setFault(nil) },
					Spoil: breakLine,
				}
			}})
		})
	}
}

// breakLine makes one line two.
func breakLine(body []byte) []byte { return append(body, '\n', 'x') }

func TestSuiteOnStandardOutput(t *testing.T) {
	outputstest.Run(t, outputstest.Harness{KeepsOrder: true, Setup: func(tb testing.TB) outputstest.Subject {
		w := &pipe{}
		tb.Cleanup(w.mend)
		return outputstest.Subject{
			New:      func() (outputs.Output, error) { return file.New(file.Config{Path: "-"}, file.Options{Stdout: w}) },
			Received: w.lines,
			Break:    func() { w.set(syscall.EPIPE, false) },
			Mend:     w.mend,
			Hang:     func() { w.set(nil, true) },
			Spoil:    breakLine,
		}
	}})
}

// pipe is standard output: it can be closed at its other end, or be full.
type pipe struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	err  error
	full chan struct{} // closed when a write may go on; nil if it may
	// most is the longest write, if it isn't 0.
	most int
}

func (p *pipe) set(err error, full bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
	if full && p.full == nil {
		p.full = make(chan struct{})
	}
	if !full && p.full != nil {
		close(p.full)
		p.full = nil
	}
}

func (p *pipe) mend() { p.set(nil, false) }

func (p *pipe) Write(text []byte) (int, error) {
	p.mu.Lock()
	full := p.full
	p.mu.Unlock()
	if full != nil {
		<-full
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return 0, p.err
	}
	if p.most > 0 && len(text) > p.most {
		n, _ := p.buf.Write(text[:p.most])
		return n, errors.New("interrupted")
	}
	return p.buf.Write(text)
}

func (p *pipe) lines() [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	var lines [][]byte
	for _, line := range splitLines(bytes.Clone(p.buf.Bytes())) {
		lines = append(lines, []byte(line))
	}
	return lines
}
