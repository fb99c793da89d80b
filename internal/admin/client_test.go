package admin_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/admin/admintest"
)

// everything is what there is behind the API.
type everything interface {
	admin.Operations
	admin.Explorer
}

// calls has one use of every operation, with every field of its request set.
func calls() map[string]func(context.Context, everything) (any, error) {
	at := time.Date(2026, 6, 19, 9, 30, 4, 5, time.UTC)
	filters := admin.Selection{
		Output: "kibana", Reason: "too_large", Company: "a&b=c ü", Kind: "threat", Since: at, Until: at.Add(time.Hour),
	}
	return map[string]func(context.Context, everything) (any, error){
		"status": func(ctx context.Context, o everything) (any, error) { return o.Status(ctx) },
		"list": func(ctx context.Context, o everything) (any, error) {
			return o.DeadLetters(ctx, admin.LetterQuery{Selection: filters, Page: admin.Page{Limit: 5, After: 1 << 40}})
		},
		"letter": func(ctx context.Context, o everything) (any, error) { return o.DeadLetter(ctx, 1<<62) },
		"replay letters": func(ctx context.Context, o everything) (any, error) {
			return o.ReplayDeadLetters(ctx, admin.LetterAction{Selection: admin.Selection{IDs: []int64{1, 1 << 62}}, DryRun: true})
		},
		"drop letters": func(ctx context.Context, o everything) (any, error) {
			return o.DropDeadLetters(ctx, admin.LetterAction{Selection: filters})
		},
		"drop all letters": func(ctx context.Context, o everything) (any, error) {
			return o.DropDeadLetters(ctx, admin.LetterAction{Selection: admin.Selection{All: true}})
		},
		"rejected": func(ctx context.Context, o everything) (any, error) {
			return o.Rejected(ctx, admin.Page{Limit: 1000, After: 2})
		},
		"rejected body": func(ctx context.Context, o everything) (any, error) { return o.RejectedBody(ctx, 3) },
		"accept": func(ctx context.Context, o everything) (any, error) {
			return o.AcceptRejected(ctx, admin.AcceptRequest{IDs: []int64{3, 4}, DryRun: true})
		},
		"replay": func(ctx context.Context, o everything) (any, error) {
			return o.Replay(ctx, admin.ReplayRequest{Output: "kibana", Since: at, Until: at.Add(1), DryRun: true})
		},
		"cancel": func(ctx context.Context, o everything) (any, error) {
			return o.CancelReplay(ctx, admin.OutputRequest{Output: "kibana", DryRun: true})
		},
		"forget": func(ctx context.Context, o everything) (any, error) {
			return o.Forget(ctx, admin.OutputRequest{Output: "old", DryRun: true})
		},
		"events": func(ctx context.Context, o everything) (any, error) {
			return o.Events(ctx, admin.EventQuery{Text: `risk:high "a & b" ü`, Company: "a&b=c ü", Limit: 7, Before: 1 << 60})
		},
		"events after": func(ctx context.Context, o everything) (any, error) {
			return o.Events(ctx, admin.EventQuery{After: 1<<64 - 1})
		},
		"event": func(ctx context.Context, o everything) (any, error) { return o.Event(ctx, "a/b ü?&%2F") },
		"records": func(ctx context.Context, o everything) (any, error) {
			return o.Records(ctx, admin.RecordQuery{Kind: "threat", Text: "status:open", Company: "acme", Sort: "severity", Limit: 3, Cursor: "99.7"})
		},
		"record": func(ctx context.Context, o everything) (any, error) { return o.Record(ctx, "threat/a%2Fb/c d?&") },
		"overview": func(ctx context.Context, o everything) (any, error) {
			return o.Overview(ctx, admin.OverviewQuery{Company: "acme", Window: 36 * time.Hour})
		},
		"test": func(ctx context.Context, o everything) (any, error) { return o.SendTest(ctx) },
	}
}

// Over HTTP every operation gets what it gets when it is called, and answers what
// it answers: results and errors alike.
func TestClientIsTheSameAsACall(t *testing.T) {
	direct, remote := admintest.NewFake(), admintest.NewFake()
	_, access := serveAPI(t, remote)
	client := admin.NewClient(access)
	failures := []error{nil, errors.New("disk failed")}
	for _, code := range []admin.Code{admin.Invalid, admin.Denied, admin.NotFound, admin.Conflict, admin.Unavailable} {
		failures = append(failures, admin.Errorf(code, "because of <%s>", code))
	}
	for name, call := range calls() {
		for _, failure := range failures {
			direct.Err, remote.Err = failure, failure
			want, wantErr := call(t.Context(), direct)
			got, err := call(t.Context(), client)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: the client differs (-direct +client):\n%s", name, diff)
			}
			if (wantErr == nil) != (err == nil) || err != nil && (err.Error() != wantErr.Error() || admin.CodeOf(err) != admin.CodeOf(wantErr)) {
				t.Errorf("%s: error %v of code %s, want %v", name, err, admin.CodeOf(err), wantErr)
			}
			if diff := cmp.Diff(direct.Calls(), remote.Calls()); diff != "" {
				t.Errorf("%s: what arrives differs (-direct +client):\n%s", name, diff)
			}
		}
	}
}

func TestPing(t *testing.T) {
	fake := admintest.NewFake()
	_, access := serveAPI(t, fake)
	fake.Err = errors.New("disk failed")
	if err := admin.NewClient(access).Ping(t.Context()); err != nil || len(fake.Calls()) > 0 {
		t.Errorf("ping: %v, want nil without asking for anything", err)
	}
	access.Token = "another"
	if err := admin.NewClient(access).Ping(t.Context()); admin.CodeOf(err) != admin.Denied {
		t.Errorf("ping with another token: %v, want it denied", err)
	}
}

func TestClientTellsWhoDoesNotAnswer(t *testing.T) {
	// A proxy must never see the token.
	t.Setenv("HTTP_PROXY", "http://192.0.2.1:1")
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for name, h := range map[string]http.HandlerFunc{
		"not found": http.NotFound,
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
		},
		"no code": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, `{"error":"x"}`, http.StatusBadRequest) },
	} {
		other := httptest.NewServer(h)
		_, err := admin.NewClient(admin.Access{Address: other.Listener.Addr().String(), Token: "0123"}).Status(t.Context())
		if !errors.Is(err, admin.ErrNoAnswer) {
			t.Errorf("%s: %v, want ErrNoAnswer", name, err)
		}
		other.Close()
	}
	for _, address := range []string{closed.Addr().String(), "", "no address"} {
		if _, err := admin.NewClient(admin.Access{Address: address}).Status(t.Context()); !errors.Is(err, admin.ErrNoAnswer) {
			t.Errorf("at %q: %v, want ErrNoAnswer", address, err)
		}
	}
	garbage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("hello")) }))
	defer garbage.Close()
	if _, err := admin.NewClient(admin.Access{Address: garbage.Listener.Addr().String()}).Status(t.Context()); err == nil {
		t.Error("an answer that is no JSON is an error")
	}
}
