package admin_test

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/admin"
)

func TestLogin(t *testing.T) {
	for name, with := range map[string]func(*gated, *admin.Options){"plain": withUsers, "TLS": withTLS(t)} {
		t.Run(name, func(t *testing.T) {
			g := newGated(t, with)
			if status, text := g.get(t, "/login?next=/tickets"); status != http.StatusOK || text != "form next=/tickets username= problem=" {
				t.Errorf("the form: %d %q", status, text)
			}
			resp, cookie := g.logIn(t, "olga", operatorPassword)
			if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/threats?q=a" || len(resp.Cookies()) != 1 {
				t.Fatalf("login: %d, %v", resp.StatusCode, resp.Header)
			}
			c := resp.Cookies()[0]
			_, port, _ := net.SplitHostPort(g.address)
			want := "siemrelay-" + port
			if name == "TLS" {
				want = "__Host-" + want
			}
			if c.Name != want || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Secure != (name == "TLS") || c.Path != "/" || c.Domain != "" || c.MaxAge != 0 || len(c.Value) != 43 {
				t.Errorf("cookie %+v", c)
			}
			_, second := g.logIn(t, "olga", operatorPassword, cookie)
			if second == cookie {
				t.Error("a login keeps the session of the one before")
			}
			if status, _ := g.get(t, "/", cookie); status != http.StatusUnauthorized {
				t.Errorf("the session that a login replaced: status %d", status)
			}

			resp, _ = g.ask(t, http.MethodPost, admin.LogoutPath, "", second)
			if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/login" || len(resp.Cookies()) != 1 || resp.Cookies()[0].MaxAge >= 0 {
				t.Errorf("logout: %d %v", resp.StatusCode, resp.Header)
			}
			if status, _ := g.get(t, "/", second); status != http.StatusUnauthorized {
				t.Errorf("after the logout: status %d", status)
			}
		})
	}
}

func TestFailedLogins(t *testing.T) {
	g := newGated(t, withUsers)
	form := func(v url.Values) (int, string) {
		t.Helper()
		resp, text := g.ask(t, http.MethodPost, admin.LoginPath, v.Encode(), "Content-Type: application/x-www-form-urlencoded")
		if len(resp.Cookies()) > 0 {
			t.Errorf("%v: cookies %v", v, resp.Cookies())
		}
		return resp.StatusCode, text
	}
	for _, v := range []url.Values{
		{"username": {"olga"}, "password": {"s3cret"}},
		{"username": {"olga"}, "password": {viewerPassword}},
		{"username": {"olga"}, "password": {operatorPassword + " "}},
		{"username": {"Olga"}, "password": {operatorPassword}},
		{"username": {"olga"}},
		{},
		{"username": {"olga"}, "password": {strings.Repeat("s3cret", 1000)}},
	} {
		if status, text := form(v); status != http.StatusUnauthorized || !strings.Contains(text, "The user name or the password is wrong.") || strings.Contains(text, "s3cret") {
			t.Errorf("%.60q: %d %q", v.Encode(), status, text)
		}
	}
	if status, text := form(url.Values{"username": {"olga"}, "password": {strings.Repeat("x", 20<<10)}}); status != http.StatusBadRequest {
		t.Errorf("a form that is too long: %d %q", status, text)
	}
	// A password in the URL would stand in logs, and is none.
	if resp, _ := g.ask(t, http.MethodPost, "/login?username=olga&password="+url.QueryEscape(operatorPassword), "", "Content-Type: application/x-www-form-urlencoded"); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a password in the URL: status %d", resp.StatusCode)
	}
	for _, secret := range []string{"s3cret", viewerPassword, operatorPassword, "Olga"} {
		if strings.Contains(g.log.String(), secret) {
			t.Errorf("the log holds %q:\n%s", secret, g.log)
		}
	}
	if n := strings.Count(g.log.String(), "login failed"); n != 1 {
		t.Errorf("logged %d times, want once a minute:\n%s", n, g.log)
	}
	if _, text := g.get(t, "/metrics", basic("vic", viewerPassword)); !strings.Contains(text, `siemrelay_admin_logins_total{result="failed"} 8`) ||
		!strings.Contains(text, `siemrelay_admin_logins_total{result="ok"} 0`) {
		t.Errorf("metrics:\n%s", text)
	}
}

// Too many failures close the form and basic authentication to an address, for a minute,
// and nothing else to anybody.
func TestGuessing(t *testing.T) {
	g := newGated(t, withUsers)
	_, operator := g.logIn(t, "olga", operatorPassword)
	for i := range 20 {
		if i%2 == 0 {
			g.logIn(t, "olga", "guess")
		} else {
			g.get(t, "/metrics", basic("olga", "guess"))
		}
	}
	resp, cookie := g.logIn(t, "olga", operatorPassword)
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "60" || cookie != "" {
		t.Errorf("the right password after 20 wrong ones: %d %v", resp.StatusCode, resp.Header)
	}
	if status, _ := g.get(t, "/metrics", basic("olga", operatorPassword)); status != http.StatusTooManyRequests {
		t.Errorf("basic authentication: status %d", status)
	}
	for name, header := range map[string]string{"a session": operator, "the token": "Authorization: Bearer " + g.token(t)} {
		if status, _ := g.get(t, "/metrics", header); status != http.StatusOK {
			t.Errorf("%s: status %d", name, status)
		}
	}
	if _, text := g.get(t, "/metrics", operator); !strings.Contains(text, `siemrelay_admin_logins_total{result="limited"} 2`) {
		t.Errorf("metrics:\n%s", text)
	}
	if n := strings.Count(g.log.String(), "too many failed logins"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, g.log)
	}

	elsewhere := *g.client
	elsewhere.Transport = &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext}
	here := g.client
	g.client = &elsewhere
	if resp, _ := g.logIn(t, "olga", operatorPassword); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("from another address: status %d", resp.StatusCode)
	}
	g.client = here
	g.ahead.Add(int64(time.Minute))
	if resp, _ := g.logIn(t, "olga", operatorPassword); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("a minute later: status %d", resp.StatusCode)
	}
}

func TestSessionsEnd(t *testing.T) {
	g := newGated(t, withUsers)
	for name, c := range map[string]struct {
		steps []time.Duration // between two requests
		ends  bool
	}{
		"used often":   {repeat(11*time.Hour, 15), false},
		"idle":         {[]time.Duration{12 * time.Hour}, true},
		"not yet idle": {[]time.Duration{12*time.Hour - time.Minute}, false},
		"a week old":   {repeat(12*time.Hour-time.Second, 15), true},
		"clock back":   {[]time.Duration{-13 * time.Hour}, true},
	} {
		_, cookie := g.logIn(t, "vic", viewerPassword)
		var status int
		for _, step := range c.steps {
			g.ahead.Add(int64(step))
			status, _ = g.get(t, "/", cookie)
		}
		if (status == http.StatusUnauthorized) != c.ends {
			t.Errorf("%s: status %d, want it to end: %v", name, status, c.ends)
		}
	}
}

func repeat(d time.Duration, n int) []time.Duration {
	list := make([]time.Duration, n)
	for i := range list {
		list[i] = d
	}
	return list
}

// A new password ends what was begun with the old one.
func TestANewPasswordEndsSessions(t *testing.T) {
	g := newGated(t, withUsers)
	_, operator := g.logIn(t, "olga", operatorPassword)
	_, viewer := g.logIn(t, "vic", viewerPassword)
	changed := "another one"
	g.ops.Store(&changed)
	if status, _ := g.get(t, "/", operator); status != http.StatusUnauthorized {
		t.Errorf("with the old password: status %d", status)
	}
	if status, _ := g.get(t, "/", viewer); status != http.StatusOK {
		t.Errorf("somebody else: status %d", status)
	}
	old := operatorPassword
	g.ops.Store(&old)
	if status, _ := g.get(t, "/", operator); status != http.StatusUnauthorized {
		t.Errorf("with the password back: status %d, want the session gone", status)
	}
}

// A thousand sessions are kept; one more ends the one that was used longest ago.
func TestSessionsAreBounded(t *testing.T) {
	g := newGated(t, withUsers)
	_, first := g.logIn(t, "vic", viewerPassword)
	_, second := g.logIn(t, "vic", viewerPassword)
	for range 998 {
		g.ahead.Add(1)
		g.logIn(t, "vic", viewerPassword)
	}
	g.ahead.Add(1)
	if status, _ := g.get(t, "/", first); status != http.StatusOK { // used now
		t.Fatalf("the first of 1000: status %d", status)
	}
	_, last := g.logIn(t, "vic", viewerPassword)
	for name, c := range map[string]struct {
		cookie string
		want   int
	}{"used lately": {first, 200}, "used longest ago": {second, 401}, "new": {last, 200}} {
		if status, _ := g.get(t, "/", c.cookie); status != c.want {
			t.Errorf("%s: status %d, want %d", name, status, c.want)
		}
	}
}

func TestNextIsLocal(t *testing.T) {
	g := newGated(t, withUsers)
	for next, want := range map[string]string{
		"/threats?q=a%20b#x": "/threats?q=a%20b#x", "/": "/", "": "/",
		"//evil.example": "/", "/\\evil.example": "/", "https://evil.example/": "/", "javascript:alert(1)": "/", "threats": "/",
		"/a\r\nSet-Cookie: x=y": "/", "/ü": "/", "\t//evil.example": "/", "/%0d%0a": "/%0d%0a", "/login?next=/x": "/", "/logout": "/", "/metrics": "/", "/%": "/",
	} {
		v := url.Values{"username": {"vic"}, "password": {viewerPassword}, "next": {next}}
		resp, _ := g.ask(t, http.MethodPost, admin.LoginPath, v.Encode(), "Content-Type: application/x-www-form-urlencoded")
		if got := resp.Header.Get("Location"); got != want || resp.StatusCode != http.StatusSeeOther {
			t.Errorf("next %q: %d to %q, want %q", next, resp.StatusCode, got, want)
		}
		if _, text := g.get(t, "/login?next="+url.QueryEscape(next)); !strings.HasPrefix(text, "form next="+want+" ") {
			t.Errorf("next %q: %q", next, text)
		}
	}
}

// Who has not logged in is sent there, in the way that each kind of client follows.
func TestTheWayToTheLogin(t *testing.T) {
	g := newGated(t, withUsers)
	resp, _ := g.ask(t, http.MethodGet, "/threats?q=a&b=c", "", "Accept: text/html,*/*")
	if got := resp.Header.Get("Location"); resp.StatusCode != http.StatusSeeOther || got != "/login?next=%2Fthreats%3Fq%3Da%26b%3Dc" {
		t.Errorf("a page: %d to %q", resp.StatusCode, got)
	}
	resp, _ = g.ask(t, http.MethodGet, "/status", "", "HX-Request: true", "HX-Current-URL: http://"+g.address+"/outputs?a=b")
	if got := resp.Header.Get("HX-Redirect"); resp.StatusCode != http.StatusUnauthorized || got != "/login?next=%2Foutputs%3Fa%3Db" {
		t.Errorf("a part of a page: %d to %q", resp.StatusCode, got)
	}
	resp, text := g.ask(t, http.MethodGet, "/", "", "Accept: */*")
	if resp.StatusCode != http.StatusUnauthorized || !strings.Contains(text, "/login") || resp.Header.Get("WWW-Authenticate") != "" {
		t.Errorf("anything else: %d %q", resp.StatusCode, text)
	}
	resp, _ = g.ask(t, http.MethodGet, "/metrics", "")
	if got := resp.Header.Values("WWW-Authenticate"); len(got) != 2 || !strings.HasPrefix(got[1], "Basic ") {
		t.Errorf("a machine is asked for %q", got)
	}
}
