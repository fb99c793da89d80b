package hostile_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/siemrelay/siemrelay/internal/endtoend"
	"github.com/siemrelay/siemrelay/internal/receiver/receivertest"
)

// attack is what a process of attackers does: so many of them, each with one
// connection at a time, for some seconds.
type attack struct {
	Kinds     []string // of the keys of kinds; attackers take turns
	Address   string
	TLS       bool
	Attackers int
	Sources   int // they come from 127.0.0.1, 127.0.0.2 and so on
	Seconds   int // 0: as many as the flag says
	Rate      int // connections a second of all of them together; 0: no limit
	Login     endtoend.Login
	Limit     time.Duration // a connection that lives longer was not cut
}

// report is what became of it.
type report struct {
	Connections int            // that were opened, with TLS where it was asked for
	Cut         int            // by the other side
	Overstayed  int            // those that were not cut within attack.Limit
	Longest     time.Duration  // life of a connection
	Statuses    map[string]int // of answers
	Failed      map[string]int // connections that could not be opened, by why
	Wrong       []string       // answers that may not be
}

// attackers is an attack under way.
type attackers struct {
	attack
	ends  time.Time
	pace  <-chan time.Time
	cases []receivertest.Case

	mu sync.Mutex
	report
}

// kinds says how each attacker behaves on a connection, until it is cut or done.
var kinds = map[string]func(a *attackers, c net.Conn){
	"nothing at all":       func(*attackers, net.Conn) {},
	"half a ClientHello":   func(_ *attackers, c net.Conn) { io.WriteString(c, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03") },
	"idle after handshake": func(*attackers, net.Conn) {},
	"slow headers": func(_ *attackers, c net.Conn) {
		trickle(c, "POST "+endtoend.Path+" HTTP/1.1\r\n", "Host: relay.example.com\r\nX: ")
	},
	"slow body": func(a *attackers, c net.Conn) {
		trickle(c, head(a.Login, "Content-Length: 100000"), "{")
	},
	"slow chunks": func(a *attackers, c net.Conn) {
		trickle(c, head(a.Login, "Transfer-Encoding: chunked"), "1\r\n{\r\n")
	},
	"body never sent": func(a *attackers, c net.Conn) {
		io.WriteString(c, head(a.Login, "Content-Length: 1048576"))
	},
	"guesses": func(_ *attackers, c net.Conn) {
		io.WriteString(c, head(endtoend.Login{Username: "defense", Password: endtoend.Secret + " is what I guess"}, "Content-Length: 2")+"{}")
	},
}

// belowTLS are the kinds that never get through the handshake.
var belowTLS = map[string]bool{"nothing at all": true, "half a ClientHello": true}

// oddDeliveries is the kind that plays the corpus of odd deliveries.
const oddDeliveries = "odd deliveries"

func head(l endtoend.Login, length string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: relay.example.com\r\nAuthorization: Basic %s\r\n%s\r\n\r\n", endtoend.Path, l.Token(), length)
}

// trickle sends one byte a second until the other side has had enough.
func trickle(c net.Conn, at, slowly string) {
	if _, err := io.WriteString(c, at); err != nil {
		return
	}
	for i := 0; ; i++ {
		time.Sleep(time.Second) // it is what a slow client does
		if _, err := c.Write([]byte{slowly[i%len(slowly)]}); err != nil {
			return
		}
	}
}

func (o attack) run() report {
	a := &attackers{attack: o, ends: time.Now().Add(time.Duration(o.Seconds) * time.Second)}
	a.Statuses, a.Failed = map[string]int{}, map[string]int{}
	if o.Rate > 0 {
		pace := time.NewTicker(time.Second / time.Duration(o.Rate))
		defer pace.Stop()
		a.pace = pace.C
	}
	var err error
	if a.cases, err = receivertest.Cases(); err != nil {
		a.Wrong = append(a.Wrong, err.Error())
	}
	var all sync.WaitGroup
	for i := range o.Attackers {
		all.Go(func() {
			for n := i; time.Now().Before(a.ends); n++ {
				if a.pace != nil {
					<-a.pace
				}
				if kind := o.Kinds[i%len(o.Kinds)]; kind == oddDeliveries {
					a.odd(n)
				} else {
					a.once(kind, n)
				}
			}
		})
	}
	all.Wait()
	return a.report
}

// once opens a connection, misbehaves, and waits until it is cut.
func (a *attackers) once(kind string, n int) {
	source := &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(1+n%max(a.Sources, 1)))}
	began := time.Now()
	raw, err := (&net.Dialer{LocalAddr: source, Timeout: a.Limit}).Dial("tcp", a.Address)
	if err != nil {
		a.failed("dial", err)
		return
	}
	defer raw.Close()
	_ = raw.(*net.TCPConn).SetLinger(0) // no port is kept for later
	_ = raw.SetDeadline(began.Add(a.Limit))
	conn := raw
	if a.TLS && !belowTLS[kind] {
		secure := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
		if err := secure.Handshake(); err != nil {
			a.failed("handshake", err)
			return
		}
		conn = secure
		began = time.Now() // the timeout for a request begins
		_ = raw.SetDeadline(began.Add(a.Limit))
	}
	a.count(func() { a.Connections++ })
	if kind == "guesses" {
		kinds[kind](a, conn)
		a.answer(conn, began)
		return
	}
	go kinds[kind](a, conn) // ends when the connection does
	a.answer(conn, began)
}

// answer reads to the end of the connection.
func (a *attackers) answer(c net.Conn, began time.Time) {
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	status := "none"
	if err == nil {
		status = fmt.Sprint(response.StatusCode)
		_, err = io.Copy(io.Discard, response.Body)
		if _, more := c.Read(make([]byte, 1)); err == nil {
			err = more
		}
	}
	life := time.Since(began)
	a.count(func() {
		a.Statuses[status]++
		a.Longest = max(a.Longest, life)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			a.Overstayed++
		} else {
			a.Cut++
		}
	})
}

// odd plays one case of the corpus and looks at what was answered.
func (a *attackers) odd(n int) {
	c := a.cases[n*7%len(a.cases)]
	target := receivertest.Target{
		Address: a.Address, Host: "relay.example.com", Path: endtoend.Path,
		Username: a.Login.Username, Password: a.Login.Password, Timeout: a.Limit,
	}
	if a.TLS {
		target.TLS = &tls.Config{InsecureSkipVerify: true}
	}
	c.Repeat, c.Parallel = 1, 1
	deliveries, err := c.Run(context.Background(), target)
	if err != nil {
		a.failed(c.Name, err)
		return
	}
	a.count(func() {
		for _, d := range deliveries {
			a.Connections++
			a.Longest = max(a.Longest, d.Elapsed)
			for _, s := range d.Statuses {
				a.Statuses[fmt.Sprint(s)]++
				if s >= 500 && s != http.StatusHTTPVersionNotSupported {
					a.Wrong = append(a.Wrong, fmt.Sprintf("%s caused a %d: %s", c.Name, s, d.Body))
				}
			}
			// So many of them fail to log in that they come over the limit.
			limited := slices.Contains(d.Statuses, http.StatusTooManyRequests)
			if problem := c.Problem(d); problem != "" && !limited {
				a.Wrong = append(a.Wrong, fmt.Sprintf("%s: %s", c.Name, problem))
			}
		}
	})
}

func (a *attackers) failed(doing string, err error) {
	why := err.Error()
	for _, known := range []string{"refused", "reset", "EOF", "timeout", "in use", "too many open files"} {
		if strings.Contains(why, known) {
			why = known
		}
	}
	a.count(func() { a.Failed[doing+": "+why]++ })
}

func (a *attackers) count(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}
