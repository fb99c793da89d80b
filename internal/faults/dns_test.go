package faults_test

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// names is a name server (RFC 1035) that knows one thing at a time about all names.
type names struct {
	mu    sync.Mutex
	code  byte   // the response code: 0 good, 2 failure, 3 no such name
	ip    net.IP // the address of every name; nil: no answer comes at all
	asked int
}

func (n *names) tell(code byte, ip string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.code, n.ip = code, net.ParseIP(ip).To4()
}

func (n *names) questions() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked
}

// serveNames answers in the place of the machine's own name servers, those of
// /etc/resolv.conf, in the test's own network, until the test ends.
func serveNames(t *testing.T) *names {
	t.Helper()
	text, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		t.Log(err) // then it is this machine
	}
	var servers []string
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "nameserver" {
			servers = append(servers, words[1])
		}
	}
	if len(servers) == 0 {
		servers = []string{"127.0.0.1"}
	}
	n := &names{}
	for _, server := range servers {
		if !net.ParseIP(server).IsLoopback() {
			if out, err := exec.Command("ip", "addr", "add", server, "dev", "lo").CombinedOutput(); err != nil {
				t.Fatalf("take the address of name server %s: %v: %s", server, err, out)
			}
		}
		n.serve(t, server)
	}
	return n
}

func (n *names) serve(t *testing.T, server string) {
	t.Helper()
	c, err := net.ListenPacket("udp", net.JoinHostPort(server, "53"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { // ends with the socket
		defer close(done)
		buffer := make([]byte, 512)
		for {
			size, from, err := c.ReadFrom(buffer)
			if err != nil {
				return
			}
			if reply := n.answer(buffer[:size]); reply != nil {
				_, _ = c.WriteTo(reply, from)
			}
		}
	}()
	t.Cleanup(func() {
		c.Close()
		<-done
	})
}

// answer makes the reply to a question: its header, the question again, and for an
// address (type A) one record that points to the name in the question.
func (n *names) answer(question []byte) []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked++
	const header = 12
	end := header // of the name, then type and class
	for end < len(question) && question[end] != 0 {
		end += int(question[end]) + 1
	}
	end += 5
	if end > len(question) || n.code == 0 && n.ip == nil {
		return nil
	}
	reply := append([]byte{}, question[:end]...)
	reply[2], reply[3] = 0x81, 0x80|n.code // a response, recursion is available
	copy(reply[4:], []byte{0, 1, 0, 0, 0, 0, 0, 0})
	const typeA = 1
	if n.code == 0 && question[end-3] == typeA {
		reply[7] = 1
		reply = append(reply, 0xc0, header, 0, typeA, 0, 1, 0, 0, 0, 0, 0, 4)
		reply = append(reply, n.ip...)
	}
	return reply
}

// TestNamesChange (F35): the name server fails, knows no name, and then moves the
// receivers' names from one address to another. The outputs ask again each time they
// connect, and lose nothing; nobody else notices.
func TestNamesChange(t *testing.T) {
	t.Parallel() // it waits, most of the time
	if !ownNetwork(t) {
		return
	}
	n := serveNames(t)
	n.tell(2, "")

	r := newReceivers(t)
	first, stopSearch := newProxy(t, "127.0.0.2:0", r.searchAddress(), shape{})
	second, stopSIEM := newProxy(t, "127.0.0.2:0", r.siem.address, shape{})
	named := func(p *proxy, name string) string {
		return strings.Replace(p.address, "127.0.0.2", name, 1)
	}
	w := newWorld(t, endtoend.Setup{Env: []string{"GODEBUG=netdns=go"}, Outputs: twoFiles()[:1], More: r.outputs(named(first, "search.example.com"), named(second, "siem.example.com"))}, ordinary)
	w.start()
	troubled := func(what, said string) {
		t.Helper()
		w.accepts(100)
		w.troubled(said, "search", "siem")
		w.drained("ecs")
		t.Logf("%s: %d questions so far", what, n.questions())
	}
	troubled("the name server fails", "server misbehaving")
	n.tell(3, "")
	troubled("there is no such name", "no such host")
	n.tell(0, "")
	troubled("the name server does not answer", "timeout")
	n.tell(0, "127.0.0.2")
	for _, o := range remote {
		w.delivers(o, 100)
	}
	third, _ := newProxy(t, strings.Replace(first.address, "127.0.0.2", "127.0.0.3", 1), r.searchAddress(), shape{})
	_, _ = newProxy(t, strings.Replace(second.address, "127.0.0.2", "127.0.0.3", 1), r.siem.address, shape{})
	stopSearch()
	stopSIEM()
	troubled("the receivers have moved", "connection refused")
	n.tell(0, "127.0.0.3")
	for _, o := range remote {
		w.delivers(o, 100)
	}
	t.Logf("delivered to %s", third.address)
	w.load.Stop()
	r.check(w.finish(remote...))
}
