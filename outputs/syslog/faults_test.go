package syslog_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/syslog"
)

// script is a receiver that does with each connection what a test says. It counts
// from 0.
func script(tb testing.TB, do func(n int, c *net.TCPConn, in *bufio.Reader)) (address string) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var running sync.WaitGroup
	tb.Cleanup(func() {
		l.Close()
		running.Wait()
	})
	running.Go(func() { // ends with the listener
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { // ends with the connection, which the output closes
				defer c.Close()
				do(n, c.(*net.TCPConn), bufio.NewReader(c))
			})
		}
	})
	return l.Addr().String()
}

// batchOf makes n messages, each of a record of its own.
func batchOf(n int) []outputs.Message {
	batch := make([]outputs.Message, n)
	for i := range batch {
		batch[i] = sample(fmt.Sprintf(`CEF:0|Defense.com|Defense.com|1.0|threat.create|t|8|cn1=%d`, i))
		batch[i].Key, batch[i].Sequence = fmt.Sprint("threat/17/", i), uint64(i+1)
	}
	return batch
}

// TestStreamFaults: whatever a receiver does while a batch is not yet safe, all of the
// batch is to be sent again, and nobody is asked to mend anything.
func TestStreamFaults(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(c *net.TCPConn, in *bufio.Reader)
		want string // in the error
	}{
		{"closes at once", func(*net.TCPConn, *bufio.Reader) {}, ""}, // with what it has not read, so it is a reset now and then
		{"closes after reading all", func(_ *net.TCPConn, in *bufio.Reader) { discardLines(in, 50) }, "ended the connection"},
		{"closes its half and reads on", func(c *net.TCPConn, in *bufio.Reader) {
			c.CloseWrite()
			io.Copy(io.Discard, in)
		}, "ended the connection"},
		{"resets in the middle", func(c *net.TCPConn, in *bufio.Reader) {
			discardLines(in, 10)
			c.SetLinger(0)
		}, ""},
		{"speaks and closes", func(c *net.TCPConn, in *bufio.Reader) {
			io.WriteString(c, strings.Repeat("go away\n", 1000))
			discardLines(in, 50)
		}, "ended the connection"},
	} {
		t.Run(c.name, func(t *testing.T) {
			arrived := make(chan int, 1)
			address := script(t, func(n int, conn *net.TCPConn, in *bufio.Reader) {
				if n == 0 {
					c.do(conn, in)
					return
				}
				arrived <- discardLines(in, 50)
				io.Copy(io.Discard, in)
			})
			out := newOutput(t, "tcp://"+address, func(c *syslog.Config) { c.Hold = 150 * time.Millisecond })
			defer out.Close()
			err := out.Send(context.Background(), batchOf(50))
			var partial *outputs.Partial
			var notReady *outputs.NotReady
			if err == nil || errors.As(err, &partial) || errors.As(err, &notReady) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("Send returned %v", err)
			}
			if err := out.Send(context.Background(), batchOf(50)); err != nil {
				t.Fatalf("to the next connection: %v", err)
			}
			if n := <-arrived; n != 50 {
				t.Errorf("%d of 50 arrived", n)
			}
		})
	}
}

// discardLines reads n lines and returns how many there were.
func discardLines(in *bufio.Reader, n int) int {
	for i := range n {
		if _, err := in.ReadString('\n'); err != nil {
			return i
		}
	}
	return n
}

// TestEndIsSeenBeforeAWrite: the first write after the peer has gone would succeed and
// be lost, or at best be an error. A receiver that closed between two batches costs
// neither.
func TestEndIsSeenBeforeAWrite(t *testing.T) {
	for _, c := range []struct {
		name, scheme, goodbye string
	}{
		{"tcp", "tcp", ""},
		{"relp", "relp", ""},
		{"relp with serverclose", "relp", "0 serverclose 0\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			leave, left, arrived := make(chan struct{}), make(chan struct{}), make(chan struct{})
			address := script(t, func(n int, conn *net.TCPConn, in *bufio.Reader) {
				take := func() {
					if c.scheme == "tcp" {
						discardLines(in, 1)
						return
					}
					for _, reply := range []string{"200 OK\ncommands=syslog", "200 OK"} {
						number, _, _, err := readRELP(in)
						if err == nil {
							io.WriteString(conn, relpReply(number, reply))
						}
					}
				}
				take()
				if n > 0 {
					close(arrived)
					io.Copy(io.Discard, in)
					return
				}
				<-leave
				io.WriteString(conn, c.goodbye)
				conn.Close()
				close(left)
			})
			out := newOutput(t, c.scheme+"://"+address, func(c *syslog.Config) { c.Timeout = 5 * time.Second })
			defer out.Close()
			if err := out.Send(context.Background(), batchOf(1)); err != nil {
				t.Fatal(err)
			}
			close(leave)
			<-left // over loopback the end has then arrived
			if err := out.Send(context.Background(), batchOf(1)); err != nil {
				t.Fatalf("after the receiver had closed: %v", err)
			}
			<-arrived
		})
	}
}

// TestStalledReceiver: a Send gives up when nothing moves, and what it was doing does
// not pile up.
func TestStalledReceiver(t *testing.T) {
	for _, scheme := range []string{"tcp", "relp"} {
		t.Run(scheme, func(t *testing.T) {
			end := make(chan struct{})
			address := script(t, func(_ int, c *net.TCPConn, in *bufio.Reader) {
				c.SetReadBuffer(4 << 10)
				if scheme == "relp" {
					number, _, _, err := readRELP(in)
					if err == nil {
						io.WriteString(c, relpReply(number, "200 OK\ncommands=syslog"))
					}
				}
				<-end
			})
			out := newOutput(t, scheme+"://"+address, func(c *syslog.Config) { c.Timeout, c.MaxMessageSize = time.Second, 0 })
			defer out.Close()
			defer close(end)
			batch := batchOf(8000)
			for i := range batch {
				batch[i].Body = append(batch[i].Body, strings.Repeat(" x=y", 500)...)
			}
			began := time.Now()
			err := out.Send(context.Background(), batch)
			if took := time.Since(began); err == nil || !outputs.IsTransient(err) || took > patience {
				t.Fatalf("Send returned %v after %v", err, took)
			}
			// What fits into our own kernel's queue is not with the receiver either.
			if err := out.Send(context.Background(), batch[:300]); err == nil || !outputs.IsTransient(err) {
				t.Errorf("of a small batch Send returned %v", err)
			}
			before := heap()
			for range 10 {
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
				if err := out.Send(ctx, batch); err == nil {
					t.Error("a Send to a stalled receiver returned nil")
				}
				cancel()
			}
			if grown := int64(heap()) - int64(before); grown > 32<<20 {
				t.Errorf("ten more Sends cost %d bytes", grown)
			}
		})
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestRELPOpening: who does not take RELP is a matter for a person.
func TestRELPOpening(t *testing.T) {
	for _, c := range []struct {
		name, answer, want string
		transient          bool
	}{
		{"web server", "HTTP/1.1 400 Bad Request\r\n\r\n", "'H' where a number must be", false},
		{"refuses", relpReply(1, "500 no relp for you\nmore"), "refuses with 500 no relp for you", false},
		{"does not take syslog", relpReply(1, "200 OK\nrelp_version=0\ncommands=eventlog"), "does not offer the command syslog", false},
		{"answers another command", relpReply(2, "200 OK\ncommands=syslog"), "an answer to command 2", false},
		{"no answer in the answer", relpReply(1, ""), "an answer to open without a status", false},
		{"no status", relpReply(1, "fine"), "an answer without a status: fine", false},
		{"too long", "1 rsp 99999999 ", "a number over 65536", false},
		{"no line end", "1 rsp 6 200 OKx", "goes on with 'x'", false},
		{"unknown command", "1 hello 0\n", `an unknown command "hello"`, false},
		{"a frame without its data", "1 rsp 6\n", "ends before them", false},
		{"only closes", "", "ended the connection", true},
		{"says that it closes", "0 serverclose 0\n", "closed the RELP session", true},
		{"cut off", "1 rsp 20 200 OK", "unexpected EOF", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			address := script(t, func(_ int, conn *net.TCPConn, in *bufio.Reader) {
				readRELP(in)
				io.WriteString(conn, c.answer)
				if !c.transient {
					io.Copy(io.Discard, in)
				}
			})
			out := newOutput(t, "relp://"+address)
			defer out.Close()
			for what, err := range map[string]error{
				"Send":  out.Send(context.Background(), batchOf(2)),
				"Check": out.(outputs.Checker).Check(context.Background()),
			} {
				var notReady *outputs.NotReady
				if errors.As(err, &notReady) == c.transient || !strings.Contains(fmt.Sprint(err), c.want) {
					t.Errorf("%s returned %v", what, err)
				}
			}
		})
	}
}

// TestRELPAnswers: each event's outcome is what its own answer says.
func TestRELPAnswers(t *testing.T) {
	const done, retry, failed = "done", "retry", "retry (transient)"
	for _, c := range []struct {
		name   string
		keys   string                     // a letter for each message's record
		answer func(number, i int) string // "" closes
		want   []string
	}{
		{"one is refused", "abc", func(number, i int) string {
			return relpReply(number, []string{"200 OK", "500 disk full", "200 OK"}[i])
		}, []string{done, retry, done}},
		{"what comes after it waits", "abab", func(number, i int) string {
			return relpReply(number, []string{"500 no", "200 OK", "200 OK", "200 OK"}[i])
		}, []string{retry, done, failed, done}},
		{"ends in the middle", "abcd", func(number, i int) string {
			if i == 2 {
				return ""
			}
			return relpReply(number, "200 OK")
		}, []string{done, done, failed, failed}},
		{"serverclose in the middle", "abc", func(number, i int) string {
			if i == 1 {
				return "0 serverclose 0\n"
			}
			return relpReply(number, "200 OK")
		}, []string{done, failed, failed}},
		{"answers twice", "abc", func(number, i int) string {
			if i == 1 {
				return relpReply(number-1, "200 OK")
			}
			return relpReply(number, "200 OK")
		}, []string{done, failed, failed}},
		{"answers without a status", "abc", func(number, i int) string {
			if i == 1 {
				return relpReply(number, "")
			}
			return relpReply(number, "200 OK")
		}, []string{done, failed, failed}},
		{"nonsense in the middle", "abc", func(number, i int) string {
			if i == 1 {
				return "\x00\xff\n"
			}
			return relpReply(number, "200 OK")
		}, []string{done, failed, failed}},
	} {
		t.Run(c.name, func(t *testing.T) {
			address := script(t, func(n int, conn *net.TCPConn, in *bufio.Reader) {
				odd := len(c.keys)
				if n > 0 {
					odd = 0
				}
				answering(conn, in, odd, c.answer)
			})
			out := newOutput(t, "relp://"+address)
			defer out.Close()
			batch := batchOf(len(c.keys))
			for i := range batch {
				batch[i].Key = "threat/17/" + c.keys[i:i+1]
			}
			err := out.Send(context.Background(), batch)
			var partial *outputs.Partial
			if !errors.As(err, &partial) {
				t.Fatalf("Send returned %v", err)
			}
			for i, r := range partial.Results {
				got := r.Status.String()
				if r.Status == outputs.Retry && outputs.IsTransient(r.Err) {
					got = failed
				}
				if got != c.want[i] {
					t.Errorf("event %d: %s, want %s: %v", i, got, c.want[i], r.Err)
				}
			}
			if err := out.Send(context.Background(), batch); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// TestRELPOrder: a receiver gets nothing of a record after an event of it that it did
// not take, not even what would be under way already; and all of it in order later.
func TestRELPOrder(t *testing.T) {
	var got []string // by record, those that were taken
	refuse := true
	address := script(t, func(_ int, c *net.TCPConn, in *bufio.Reader) {
		for {
			number, command, data, err := readRELP(in)
			if err != nil {
				return
			}
			reply := "200 OK\ncommands=syslog"
			_, n, found := strings.Cut(string(data), "cn1=")
			switch {
			case command == "syslog" && found && refuse && n == "4":
				refuse, reply = false, "500 try again"
			case command == "syslog":
				got = append(got, n)
			}
			if _, err := io.WriteString(c, relpReply(number, reply)); err != nil || command == "close" {
				return
			}
		}
	})
	out := newOutput(t, "relp://"+address)
	batch := batchOf(600)
	for i := range batch {
		batch[i].Key = fmt.Sprint("threat/17/", i%4)
	}
	for rest := batch; len(rest) > 0; {
		var partial *outputs.Partial
		err := out.Send(context.Background(), rest)
		if err == nil {
			break
		}
		if !errors.As(err, &partial) {
			t.Fatal(err)
		}
		var again []outputs.Message
		for i, r := range partial.Results {
			if r.Status == outputs.Retry {
				again = append(again, rest[i])
			}
		}
		rest = again
	}
	if err := out.Close(); err != nil { // and then nobody writes to got
		t.Fatal(err)
	}
	if len(got) != len(batch) {
		t.Errorf("%d events were taken, want each of %d once", len(got), len(batch))
	}
	last := map[int]int{}
	for _, text := range got {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		if n < last[n%4] {
			t.Fatalf("event %d of record %d came after event %d", n, n%4, last[n%4])
		}
		last[n%4] = n
	}
}

// answering is a RELP receiver that answers its first events oddly.
func answering(c net.Conn, in *bufio.Reader, odd int, answer func(number, i int) string) {
	for i := -1; ; i++ { // the first command is open
		number, command, _, err := readRELP(in)
		if err != nil {
			return
		}
		reply := relpReply(number, "200 OK")
		if command == "open" {
			reply = relpReply(number, "200 OK\ncommands=syslog")
		} else if i < odd {
			reply = answer(number, i)
		}
		if reply == "" || command == "close" {
			return
		}
		if _, err := io.WriteString(c, reply); err != nil {
			return
		}
	}
}
