package kafka

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// java is a command that runs a class of the jars with little memory.
func (c *Cluster) java(heap string, args ...string) []string {
	return append([]string{
		"java", "-Xmx" + heap, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", filepath.Join(c.jars, "*"),
	}, args...)
}

// Run runs a class of Kafka's own tools, such as
// org.apache.kafka.tools.consumer.ConsoleConsumer, and returns what it printed.
func (c *Cluster) Run(ctx context.Context, input, class string, args ...string) (string, error) {
	argv := c.java("256m", append([]string{class}, args...)...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var out, problems bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &problems
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("run %s: %w: %s", class, err, problems.String())
	}
	return out.String(), nil
}

const clusterID = "MkU3OEVBNTcwNTJENDM2Qg"

// format makes a broker's disk, with the user's SCRAM passwords.
func (c *Cluster) format(b *broker) error {
	ctx, cancel := context.WithTimeout(context.Background(), ready)
	defer cancel()
	args := []string{"format", "-t", clusterID, "-c", b.file("server.properties")}
	for _, m := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
		args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", m, User, Password))
	}
	_, err := c.Run(ctx, "", "kafka.tools.StorageTool", args...)
	return err
}

// start runs a broker under a shell that kills it when its input ends: by Kill, or
// because the test process is gone.
func (c *Cluster) start(b *broker) error {
	log, err := os.OpenFile(b.file("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open a broker's log: %w", err)
	}
	defer log.Close()
	argv := c.java("512m", "kafka.Kafka", b.file("server.properties"))
	cmd := exec.Command("sh", append([]string{"-c", `"$@" </dev/null & read -r x; kill -9 $!; wait`, "sh"}, argv...)...)
	cmd.Stdout, cmd.Stderr = log, log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("start broker %d: %w", b.id, err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start broker %d: %w", b.id, err)
	}
	b.stdin, b.exited = stdin, make(chan struct{})
	exited := b.exited
	go func() { // ends with the broker, which Kill ends
		_ = cmd.Wait()
		close(exited)
	}()
	return nil
}

// await waits until every broker that runs is one of the cluster.
func (c *Cluster) await() error {
	running := 0
	for _, b := range c.brokers {
		if b.stdin != nil {
			running++
		}
	}
	deadline := time.Now().Add(ready)
	for {
		err := c.count(running)
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("wait for %d brokers: %w\n%s", running, err, c.logs())
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (c *Cluster) count(want int) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	for _, b := range c.brokers {
		if b.stdin == nil {
			continue
		}
		d := net.Dialer{}
		nc, err := d.DialContext(ctx, "tcp", b.address(Plain))
		if err != nil {
			return err
		}
		_ = nc.Close()
	}
	r, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, c.admin)
	if err != nil {
		return err
	}
	if len(r.Brokers) != want {
		return fmt.Errorf("the cluster has %d brokers", len(r.Brokers))
	}
	return nil
}

// logs are the ends of the brokers' logs.
func (c *Cluster) logs() string {
	var all strings.Builder
	for _, b := range c.brokers {
		text, _ := os.ReadFile(b.file("log"))
		fmt.Fprintf(&all, "--- broker %d:\n%s\n", b.id, text[max(0, len(text)-4000):])
	}
	return all.String()
}
