package console_test

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/console"
	"github.com/siemrelay/siemrelay/internal/testenv/chromium"
)

var pictures = flag.String("console.screenshots", "", "the `folder` that pictures of the pages are written to; otherwise they are test artifacts")

// serve answers on loopback as the admin listener does for an operator.
func serve(t *testing.T, c *console.Console, who admin.Caller) string {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.ServeHTTP(w, r.WithContext(admin.WithCaller(r.Context(), who)))
	}))
	// As the admin listener: a stream has to outlive them.
	s.Config.ReadTimeout, s.Config.WriteTimeout = 5*time.Second, 30*time.Second
	s.Start()
	t.Cleanup(func() {
		c.Close()
		s.Close()
	})
	return s.URL
}

func TestBrowserPictures(t *testing.T) {
	f := newScene(time.Now)
	site := serve(t, open(t, f), admin.Caller{Name: "morgan", Role: admin.Operator, Session: true})
	empty := serve(t, open(t, newFake(time.Now)), operator)
	b := chromium.Open(t, *pictures)
	for _, size := range []chromium.Size{chromium.Laptop, chromium.Phone} {
		p := b.Page(t, size)
		for _, scheme := range []string{"light", "dark"} {
			p.Prefer(scheme)
			for name, address := range map[string]string{
				"overview": site + "/?window=7d", "threats": site + "/threats", "threat": site + "/threats?status=open&record=threat%2Fabc12345-6789-0def%2Ft-0189",
				"tickets": site + "/tickets", "events": site + "/events", "event": site + "/events?event=" + f.events[len(f.events)-1].ID,
				"outputs": site + "/outputs", "dead-letters": site + "/dead-letters", "dead-letter": site + "/dead-letters?letter=2",
				"rejected": site + "/rejected?body=2", "replay": site + "/outputs/replay?output=kibana", "test": site + "/test", "empty": empty + "/threats", "first": empty + "/",
				"not-found": site + "/threats?record=nothing", "nothing": site + "/threats?q=zzz",
			} {
				if name == "not-found" {
					p.Expect("404")
				}
				p.Go(address)
				p.Wait(`document.getElementById('live').dataset.state === 'on'`)
				if name == "overview" {
					p.Wait(`document.querySelector('#chart canvas')`)
				}
				p.Picture(fmt.Sprintf("%s-%s-%d", name, scheme, size.Width))
				if wide := chromium.Eval[int](p, "document.documentElement.scrollWidth - document.documentElement.clientWidth"); wide > 0 {
					t.Errorf("%s at %d: the page is %d px wider than the window", name, size.Width, wide)
				}
			}
		}
	}
}
