package admin_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/certificate"
)

// TestGate is the whole table of who may do what: for each request, and each caller in
// the order of the heading, the status.
func TestGate(t *testing.T) {
	const heading = "nobody token wrong-token basic-viewer basic-operator basic-wrong viewer operator stranger"
	for name, c := range map[string]struct {
		with  func(*gated, *admin.Options)
		table string
	}{
		"open": {nil, `
			GET  /-/healthy                  200 200 200 200 200 200 200 200 200
			GET  /-/ready                    200 200 200 200 200 200 200 200 200
			GET  /metrics                    200 200 401 401 401 401 200 200 200
			POST /metrics                    403 405 401 401 401 401 403 403 403
			GET  /api/v1/status              200 200 401 401 401 401 200 200 200
			GET  /api/v1/deadletters         401 200 401 401 401 401 401 401 401
			POST /api/v1/deadletters/drop    401 200 401 401 401 401 401 401 401
			GET  /                           200 200 200 200 200 200 200 200 200
			HEAD /                           200 200 200 200 200 200 200 200 200
			POST /dead-letters               200 200 200 200 200 200 200 200 200
			GET  /assets/x.css               200 200 200 200 200 200 200 200 200
			GET  /login                      303 303 303 303 303 303 303 303 303
			GET  /logout                     405 405 405 405 405 405 405 405 405
		`},
		"with users": {withUsers, `
			GET  /-/healthy                  200 200 200 200 200 200 200 200 200
			POST /-/healthy                  405 405 405 405 405 405 405 405 405
			GET  /-/ready                    200 200 200 200 200 200 200 200 200
			GET  /metrics                    401 200 401 200 200 401 200 200 401
			POST /metrics                    401 405 401 403 405 401 403 405 401
			GET  /api/v1/status              401 200 401 200 200 401 200 200 401
			GET  /api/v1/deadletters         401 200 401 200 200 401 200 200 401
			POST /api/v1/deadletters/drop    401 200 401 403 200 401 403 200 401
			PUT  /api/v1/status              401 405 401 403 405 401 403 405 401
			GET  /                           303 200 303 303 303 303 200 200 303
			HEAD /                           303 200 303 303 303 303 200 200 303
			POST /dead-letters               401 200 401 401 401 401 403 200 401
			DELETE /                         401 200 401 401 401 401 403 200 401
			GET  /assets/x.css               200 200 200 200 200 200 200 200 200
			POST /assets/x.css               401 200 401 401 401 401 403 200 401
			GET  /assets/../events           307 307 307 307 307 307 307 307 307
			GET  /login                      200 200 200 200 200 200 303 303 200
			PUT  /login                      405 405 405 405 405 405 405 405 405
		`},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGated(t, c.with)
			_, viewer := g.logIn(t, "vic", viewerPassword)
			_, operator := g.logIn(t, "olga", operatorPassword)
			callers := map[string]string{
				"token": "Authorization: Bearer " + g.token(t), "wrong-token": "Authorization: Bearer 0123",
				"basic-viewer": basic("vic", viewerPassword), "basic-operator": basic("olga", operatorPassword),
				"basic-wrong": basic("olga", viewerPassword), "viewer": viewer, "operator": operator,
				"stranger": "Cookie: " + strings.Repeat("x", 43),
			}
			if operator != "" {
				name, _, _ := strings.Cut(operator, "=")
				callers["stranger"] = name + "=" + strings.Repeat("x", 43)
			}
			for line := range strings.SplitSeq(strings.TrimSpace(c.table), "\n") {
				fields := strings.Fields(line)
				for i, caller := range strings.Fields(heading) {
					g.ahead.Add(int64(time.Minute)) // failed logins are forgotten
					before := g.pages.calls.Load() + int64(len(g.fake.Calls()))
					resp, text := g.ask(t, fields[0], fields[1], `{"all":true}`, callers[caller], "Accept: text/html", "Content-Type: application/json")
					if got := fmt.Sprint(resp.StatusCode); got != fields[i+2] {
						t.Errorf("%s %s by %s: %s %.100q, want %s", fields[0], fields[1], caller, got, text, fields[i+2])
					}
					if did := g.pages.calls.Load() + int64(len(g.fake.Calls())) - before; did > 0 && resp.StatusCode != http.StatusOK {
						t.Errorf("%s %s by %s: it was carried out", fields[0], fields[1], caller)
					}
					checkHeaders(t, resp)
				}
			}
		})
	}
}

func checkHeaders(t *testing.T, resp *http.Response) {
	t.Helper()
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %s is %q, want %q", resp.Request.URL.Path, name, got, want)
		}
	}
	if csp := resp.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; script-src 'self'; ") ||
		strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'") || !strings.Contains(csp, "form-action 'self'") {
		t.Errorf("%s: policy %q", resp.Request.URL.Path, csp)
	}
}

// The console learns who asks, and as what.
func TestCallers(t *testing.T) {
	open, g := newGated(t, nil), newGated(t, withUsers)
	_, viewer := g.logIn(t, "vic", viewerPassword)
	_, operator := g.logIn(t, "olga", operatorPassword)
	for _, c := range []struct {
		g      *gated
		header string
		want   string
	}{
		{open, "", `page for "", operator, session false`},
		{g, viewer, `page for "vic", viewer, session true`},
		{g, operator, `page for "olga", operator, session true`},
		{g, "Authorization: Bearer " + g.token(t), `page for "", operator, session false`},
		// A proxy's own login passes through, and is not ours.
		{g, operator + "\x00Authorization: Basic cHJveHk6eA==", `page for "olga", operator, session true`},
	} {
		if _, text := c.g.get(t, "/", strings.Split(c.header, "\x00")...); text != c.want {
			t.Errorf("got %s, want %s", text, c.want)
		}
	}
	if c := admin.CallerOf(context.Background()); c.Role != "" || c.Operates() {
		t.Errorf("without a listener the caller is %v", c)
	}
	if !strings.Contains(g.log.String(), "logged in\" user=olga") {
		t.Errorf("the log does not say who logged in:\n%s", g.log)
	}
}

// What an operator changes is in the log, with who it was.
func TestChangesAreLogged(t *testing.T) {
	g := newGated(t, withUsers)
	_, operator := g.logIn(t, "olga", operatorPassword)
	g.ask(t, http.MethodPost, "/dead-letters?id=7", "", operator)
	g.ask(t, http.MethodPost, "/api/v1/replay", `{}`, basic("olga", operatorPassword))
	for _, want := range []string{"user=olga address=127.0.0.1 method=POST path=/dead-letters", "path=/api/v1/replay"} {
		if !strings.Contains(g.log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, g.log)
		}
	}
}

// The commands find the listener over TLS, and trust its certificate only.
func TestClientOverTLS(t *testing.T) {
	var certFile string
	g := newGated(t, func(g *gated, o *admin.Options) {
		withTLS(t)(g, o)
		certFile = o.CertFile
	})
	check := func(when string) admin.Access {
		t.Helper()
		access, err := admin.ReadAccess(g.dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := admin.NewClient(access).Ping(t.Context()); err != nil {
			t.Fatalf("%s: ping: %v", when, err)
		}
		if err := admin.Check(t.Context(), access.Address, "another", access.Fingerprint); err != nil {
			t.Errorf("%s: check: %v", when, err)
		}
		return access
	}
	before := check("at the start")
	if before.Address != g.address || len(before.Fingerprint) != 64 {
		t.Errorf("access %+v", before)
	}

	writePair(t, filepath.Dir(certFile))
	g.ahead.Add(int64(3 * time.Second))
	g.get(t, admin.HealthyPath) // a handshake finds out
	if after := check("with another certificate"); after.Fingerprint == before.Fingerprint || after.Token != before.Token {
		t.Errorf("access %+v after %+v", after, before)
	}
	for name, err := range map[string]error{
		"the old one": admin.NewClient(before).Ping(t.Context()),
		"plain HTTP":  admin.NewClient(admin.Access{Address: before.Address, Token: before.Token}).Ping(t.Context()),
	} {
		if err == nil || !strings.Contains(err.Error(), admin.ErrNoAnswer.Error()) {
			t.Errorf("%s: %v, want no answer", name, err)
		}
	}
	if err := admin.Check(t.Context(), before.Address, before.Fingerprint); err == nil || !strings.Contains(err.Error(), certificate.ErrOther.Error()) {
		t.Errorf("check with the old certificate: %v", err)
	}
}

// Over HTTP/2, which browsers speak then, everything is the same.
func TestHTTP2(t *testing.T) {
	g := newGated(t, withTLS(t))
	g.client.Transport = &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer g.client.CloseIdleConnections()
	_, operator := g.logIn(t, "olga", operatorPassword)
	resp, text := g.ask(t, http.MethodGet, "/", "", operator)
	if resp.ProtoMajor != 2 || text != `page for "olga", operator, session true` {
		t.Errorf("HTTP/%d: %s", resp.ProtoMajor, text)
	}
}
