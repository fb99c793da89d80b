package performance_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// peer is the receiver of an output. While it is sent to it does as little as it can;
// what it got is looked at afterwards.
type peer interface {
	// output is the output to it, as YAML in a list.
	output(name string) string
	// events calls take for each event that it got, with what has the id in it. The
	// relay has stopped.
	events(take func(id []byte)) error
	close()
}

// kinds are the types of output that are measured, and how to start a peer of each.
func kinds() map[string]func(*testing.T) peer {
	return map[string]func(*testing.T) peer{
		"file": newFilePeer, "syslog": newSyslogPeer, "elasticsearch": newBulkPeer, "kafka": newKafkaPeer,
	}
}

// idsOf reads the ids that take gets, as the answers to webhooks have them.
func idsOf(p peer) (ids [][16]byte, err error) {
	err = p.events(func(id []byte) {
		var one [16]byte
		if len(id) == 32 {
			_, _ = hex.Decode(one[:], id) // what is no id is nobody's
		}
		ids = append(ids, one)
	})
	return ids, err
}

// within is what stands between two marks, nil if they are not there.
func within(text []byte, begin, end string) []byte {
	_, rest, _ := bytes.Cut(text, []byte(begin))
	id, _, ok := bytes.Cut(rest, []byte(end))
	if !ok {
		return nil
	}
	return id
}

// filePeer is a file that the relay writes ECS to.
type filePeer struct{ path string }

func newFilePeer(t *testing.T) peer { return filePeer{filepath.Join(t.TempDir(), "events.ndjson")} }

func (p filePeer) output(name string) string {
	return "  - {name: " + name + ", type: file, file: {path: \"" + p.path + "\", max_size: 0}}\n"
}

func (p filePeer) events(take func([]byte)) error {
	f, err := os.Open(p.path)
	if err != nil {
		return err
	}
	defer f.Close()
	return eachLine(f, func(line []byte) { take(within(line, `"event":{"id":"`, `"`)) })
}

func (filePeer) close() {}

func eachLine(r io.Reader, take func([]byte)) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 1<<20), 16<<20)
	for lines.Scan() {
		take(lines.Bytes())
	}
	return lines.Err()
}

// syslogPeer takes CEF over TCP, a message on each line, and keeps the ids.
type syslogPeer struct {
	listener net.Listener
	readers  sync.WaitGroup
	mu       sync.Mutex
	got      [][]byte
	err      error
}

func newSyslogPeer(t *testing.T) peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &syslogPeer{listener: l}
	p.readers.Go(p.accept) // until close
	return p
}

func (p *syslogPeer) output(name string) string {
	return "  - {name: " + name + ", type: syslog, format: cef, syslog: {address: \"tcp://" + p.listener.Addr().String() + "\"}}\n"
}

func (p *syslogPeer) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.readers.Go(func() { // until the relay ends the connection
			defer c.Close()
			err := eachLine(c, func(line []byte) {
				id := bytes.Clone(within(line, " cs6=", " "))
				p.mu.Lock()
				p.got = append(p.got, id)
				p.mu.Unlock()
			})
			if err != nil {
				p.mu.Lock()
				p.err = err
				p.mu.Unlock()
			}
		})
	}
}

func (p *syslogPeer) events(take func([]byte)) error {
	p.close()
	for _, id := range p.got {
		take(id)
	}
	return p.err
}

func (p *syslogPeer) close() {
	p.listener.Close()
	p.readers.Wait()
}

// cefPeer is a file that the relay writes CEF to.
type cefPeer struct{ filePeer }

func newCEFPeer(t *testing.T) peer {
	return cefPeer{filePeer{filepath.Join(t.TempDir(), "events.cef")}}
}

func (p cefPeer) output(name string) string {
	return "  - {name: " + name + ", type: file, format: cef, file: {path: \"" + p.path + "\", max_size: 0}}\n"
}

func (p cefPeer) events(take func([]byte)) error {
	f, err := os.Open(p.path)
	if err != nil {
		return err
	}
	defer f.Close()
	return eachLine(f, func(line []byte) { take(within(line, " cs6=", " ")) })
}
