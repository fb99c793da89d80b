package syslog_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/syslog"
)

// discarding is a receiver that reads and forgets; with RELP it answers each frame.
func discarding(tb testing.TB, relp bool) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	discardOn(tb, l, relp)
	return l.Addr().String()
}

func discardOn(tb testing.TB, l net.Listener, relp bool) {
	tb.Cleanup(func() { l.Close() })
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // ends with the connection, which the output closes
				defer c.Close()
				if !relp {
					_, _ = io.Copy(io.Discard, onlyReader{c}) // a benchmark of the sender
					return
				}
				answerAll(c)
			}()
		}
	}()
}

type onlyReader struct{ io.Reader }

// answerAll is a RELP receiver that does as little as there is to do.
func answerAll(c net.Conn) {
	in, out := bufio.NewReaderSize(c, 64<<10), bufio.NewWriter(c)
	for {
		var head [3]int // number, -, length
		word, field := 0, 0
		for field < 3 {
			b, err := in.ReadByte()
			switch {
			case err != nil:
				return
			case b == ' ' || b == '\n':
				head[field], word = word, 0
				field++
			default:
				word = 10*word + int(b-'0')
			}
		}
		if head[2] > 0 {
			if _, err := in.Discard(head[2] + 1); err != nil {
				return
			}
		}
		reply := "200 OK"
		if head[0] == 1 {
			reply += "\ncommands=syslog"
		}
		fmt.Fprintf(out, "%d rsp %d %s\n", head[0], len(reply), reply)
		if in.Buffered() == 0 && out.Flush() != nil {
			return
		}
	}
}

func BenchmarkSend(b *testing.B) {
	line := []byte(`CEF:0|Defense.com|Defense.com|1.0|threat.create|Outdated software detected on a public facing server|8|rt=1781861400000 start=1781861400000 externalId=0f9c8b7a-1234-5678-9abc-def012345678 deviceExternalId=abc12345-6789-0def-1234-56789abcdef0 dvchost=my.defense.com act=create cat=Scanner::Site request=https://my.defense.com/threats/0f9c8b7a-1234-5678-9abc-def012345678 msg=A version of the web server software with known vulnerabilities was found. cs1=detected cs1Label=threatState cs2=high cs2Label=risk cs5=Vulnerability scanner cs5Label=threatSource cs6=5f2d0c1b9a8e4763b1c2d3e4f5061728 cs6Label=eventId cn1=73 cn1Label=ecsSeverity`)
	for _, c := range []struct {
		name, scheme string
		hold         time.Duration
	}{{"tcp", "tcp", 0}, {"tcp-hold", "tcp", 200 * time.Millisecond}, {"relp", "relp", 0}} {
		for _, n := range []int{100, 1000} {
			b.Run(fmt.Sprintf("%s/events=%d", c.name, n), func(b *testing.B) {
				out := newOutput(b, c.scheme+"://"+discarding(b, c.scheme == "relp"), func(s *syslog.Config) { s.Hold = c.hold })
				defer out.Close()
				batch := make([]outputs.Message, n)
				for i := range batch {
					batch[i] = outputs.Message{
						ID: "5f2d0c1b9a8e4763b1c2d3e4f5061728", Key: "threat/abc12345-6789-0def-1234-56789abcdef0/0f9c8b7a-1234-5678-9abc-def012345678",
						Kind: "threat", Trigger: "create", Accepted: time.Now(), Sequence: uint64(i + 1), SyslogSeverity: 3, Body: line,
					}
				}
				b.SetBytes(int64(n * len(line)))
				b.ReportAllocs()
				for b.Loop() {
					if err := out.Send(context.Background(), batch); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
}
