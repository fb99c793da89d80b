package admin_test

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/admin"
)

// TestStreams would fail if a stream outlived the login or the server, or if there could
// be any number of them.
func TestStreams(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, g *gated, cookie string){
		"logout": func(t *testing.T, g *gated, cookie string) { g.ask(t, http.MethodPost, admin.LogoutPath, "", cookie) },
		"stop":   func(*testing.T, *gated, string) {}, // newGated's cleanup waits for it
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan struct{})
			var resp *http.Response
			t.Cleanup(func() { // after the stop
				select {
				case <-ended:
				case <-time.After(time.Minute):
					t.Error("the stream does not end")
				}
				resp.Body.Close()
			})
			g := newGated(t, func(g *gated, o *admin.Options) {
				withUsers(g, o)
				g.pages.stream = func(w http.ResponseWriter, r *http.Request) {
					fmt.Fprint(w, "data: ", admin.CallerOf(r.Context()).Name, "\n\n")
					if err := http.NewResponseController(w).Flush(); err != nil {
						t.Error(err)
					}
					w.(http.Flusher).Flush()
					<-r.Context().Done()
					close(ended)
				}
			})
			_, cookie := g.logIn(t, "vic", viewerPassword)
			resp = g.openStream(t, cookie)
			if line, err := bufio.NewReader(resp.Body).ReadString('\n'); line != "data: vic\n" {
				t.Errorf("%q, %v", line, err)
			}
			end(t, g, cookie)
			if name == "logout" {
				<-ended
			}
		})
	}
}

func (g *gated) openStream(t *testing.T, cookie string) *http.Response {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, g.scheme+g.address+"/live", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Cookie", strings.TrimPrefix(cookie, "Cookie: "))
	resp, err := g.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func TestStreamsAreBounded(t *testing.T) {
	g := newGated(t, func(g *gated, _ *admin.Options) {
		g.pages.stream = func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	})
	for range 100 {
		resp := g.openStream(t, "")
		t.Cleanup(func() { resp.Body.Close() })
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("status %d", resp.StatusCode)
		}
	}
	resp := g.openStream(t, "")
	resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("one more: status %d", resp.StatusCode)
	}
	if status, _ := g.get(t, "/"); status != http.StatusOK {
		t.Errorf("a page meanwhile: status %d", status)
	}
}
