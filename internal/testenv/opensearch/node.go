// Package opensearch runs a real OpenSearch for tests: one node without security, from
// the jars that Maven Central has.
//
// It guarantees a node that answers on a free port of 127.0.0.1, that is gone when the
// test process is, however it ends, and that can be killed as by a power cut and
// started again on the same port and disk. It refuses to know our output. Only tests
// import it.
package opensearch

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// ready is how long the node may take to start on a machine with much else to do.
const ready = 3 * time.Minute

// Node is a node that runs.
type Node struct {
	// URL is where it answers, http://127.0.0.1:PORT.
	URL string

	dir    string
	jars   string
	ports  [2]int
	stdin  io.Closer
	cmd    *exec.Cmd
	exited chan struct{}
}

// Start starts a node with its data in dir, which the caller removes. The caller
// stops the node. The error says what the machine lacks, if that is why.
func Start(dir string) (*Node, error) {
	jars, err := jars()
	if err != nil {
		return nil, err
	}
	n := &Node{dir: dir, jars: jars}
	for i := range n.ports {
		if n.ports[i], err = freePort(); err != nil {
			return nil, err
		}
	}
	n.URL = "http://127.0.0.1:" + strconv.Itoa(n.ports[0])
	if err := n.Restart(); err != nil {
		n.Kill()
		return nil, err
	}
	return n, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// Kill ends the node at once, with what it has not yet written.
func (n *Node) Kill() {
	if n.cmd == nil {
		return
	}
	_ = n.cmd.Process.Kill()
	<-n.exited
	_ = n.stdin.Close()
	n.cmd = nil
}

// Restart starts a node that was killed, on the same port and data, and waits until
// it answers and has all its data.
func (n *Node) Restart() error {
	if err := n.start(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), ready)
	defer cancel()
	for {
		err := n.healthy(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-n.exited:
			return fmt.Errorf("wait for OpenSearch: it ended\n%s", n.log())
		case <-ctx.Done():
			return fmt.Errorf("wait for OpenSearch: %w\n%s", err, n.log())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (n *Node) start() error {
	log, err := os.OpenFile(filepath.Join(n.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open the node's log: %w", err)
	}
	defer log.Close()
	cmd := exec.Command("java", "-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-cp", n.jars+string(filepath.ListSeparator)+filepath.Join(n.jars, "*"),
		"TestNode", n.dir, strconv.Itoa(n.ports[0]), strconv.Itoa(n.ports[1]))
	cmd.Stdout, cmd.Stderr = log, log
	if n.stdin, err = cmd.StdinPipe(); err != nil {
		return fmt.Errorf("start OpenSearch: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start OpenSearch: %w", err)
	}
	n.cmd, n.exited = cmd, make(chan struct{})
	exited := n.exited
	go func() { // ends with the node, which Kill ends
		_ = cmd.Wait()
		close(exited)
	}()
	return nil
}

// healthy asks whether the cluster has every primary shard.
func (n *Node) healthy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, n.URL+"/_cluster/health?wait_for_status=yellow&timeout=4s", nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("its health is answered with %s", res.Status)
	}
	return nil
}

// log is the end of the node's log.
func (n *Node) log() string {
	text, _ := os.ReadFile(filepath.Join(n.dir, "log"))
	return string(text[max(0, len(text)-4000):])
}
