package performance_test

import (
	"bufio"
	"crypto/subtle"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// bareLogin, in the environment of the test binary, makes it the bare server: its value
// is what stands in the Authorization header. With bareCert and bareKey it speaks TLS.
const (
	bareLogin = "SIEMRELAY_TEST_BARE_LOGIN"
	bareCert  = "SIEMRELAY_TEST_BARE_CERT"
	bareKey   = "SIEMRELAY_TEST_BARE_KEY"
)

// serveBare is the yardstick of the door: fasthttp as it comes, which reads the body,
// checks the login and answers 200. It ends with standard input.
func serveBare() int {
	login := []byte(os.Getenv(bareLogin))
	server := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
		if len(ctx.PostBody()) == 0 || subtle.ConstantTimeCompare(ctx.Request.Header.Peek("Authorization"), login) != 1 {
			ctx.SetStatusCode(fasthttp.StatusUnauthorized)
			return
		}
		ctx.SetContentType("application/json")
		ctx.SetBodyString(`{"status":"accepted","id":"0123456789abcdef0123456789abcdef","duplicate":false}`)
	}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Fprintln(os.Stdout, l.Addr())
	go func() { // ends with the process
		if cert := os.Getenv(bareCert); cert != "" {
			err = server.ServeTLS(l, cert, os.Getenv(bareKey))
		} else {
			err = server.Serve(l)
		}
		fmt.Fprintln(os.Stderr, err)
	}()
	_, _ = io.Copy(io.Discard, os.Stdin) // its end is all that is wanted
	return 0
}

// startBare starts the bare server in a process of its own, for as long as the test runs.
func startBare(t *testing.T, r *endtoend.Rig) (address string, pid int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), bareLogin+"=Basic "+r.Logins[0].Token())
	if !r.Plain {
		cert, key := r.CertificateFiles()
		cmd.Env = append(cmd.Env, bareCert+"="+cert, bareKey+"="+key)
	}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait() // it is the test's own
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	return strings.TrimSpace(line), cmd.Process.Pid
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
