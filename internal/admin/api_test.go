package admin_test

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/admin/admintest"
)

// serveAPI runs a server with these operations and returns its address and what
// it lets a client in with.
func serveAPI(t *testing.T, fake *admintest.Fake) (address string, access admin.Access) {
	t.Helper()
	dir := t.TempDir()
	address = serve(t, admin.Options{Operations: fake, Explorer: fake, AccessDir: dir})
	// An answer comes after the files are there.
	(request{method: http.MethodGet, path: admin.StatusPath}).send(t, address)
	fake.Calls() // forget it
	access, err := admin.ReadAccess(dir)
	if err != nil || access.Address != address {
		t.Fatalf("read access: %v %v, want the address %s", access.Address, err, address)
	}
	return address, access
}

// request is one request to the API; what is empty is as it should be.
type request struct {
	method, path, host, token, origin, site, content, body string
	want                                                   int
}

func (q request) send(t *testing.T, address string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), q.method, "http://"+address+q.path, strings.NewReader(q.body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Origin": q.origin, "Sec-Fetch-Site": q.site, "Content-Type": q.content, "Authorization": q.token} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	req.Host = q.host
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

func TestWhoMayDoWhat(t *testing.T) {
	fake := admintest.NewFake()
	address, access := serveAPI(t, fake)
	token := access.Token
	bearer, drop, js := "Bearer "+token, "/api/v1/deadletters/drop", "application/json"
	all := `{"all":true}`
	for name, q := range map[string]request{
		"status is open":               {method: "GET", path: "/api/v1/status", want: 200},
		"by name":                      {method: "GET", path: "/api/v1/status", host: "LOCALHOST:1", want: 200},
		"IPv6":                         {method: "GET", path: "/api/v1/status", host: "[::1]:9464", want: 200},
		"IPv6 without port":            {method: "GET", path: "/api/v1/status", host: "[::1]", want: 200},
		"HEAD":                         {method: "HEAD", path: "/api/v1/status", want: 200},
		"a name that points here":      {method: "GET", path: "/api/v1/status", host: "rebound.example", want: 403},
		"a name like localhost":        {method: "GET", path: "/api/v1/status", host: "localhost.example:80", want: 403},
		"an address elsewhere":         {method: "GET", path: "/api/v1/status", host: "192.0.2.1:9464", token: bearer, want: 403},
		"a wrong token for the status": {method: "GET", path: "/api/v1/status", token: "Bearer x", want: 401},
		"no token":                     {method: "GET", path: "/api/v1/deadletters", want: 401},
		"a wrong token":                {method: "GET", path: "/api/v1/deadletters", token: bearer[:len(bearer)-1], want: 401},
		"a longer token":               {method: "GET", path: "/api/v1/deadletters", token: bearer + "0", want: 401},
		"another scheme":               {method: "GET", path: "/api/v1/deadletters", token: "Basic " + token, want: 401},
		"the token":                    {method: "GET", path: "/api/v1/deadletters", token: bearer, want: 200},
		"no token, no body":            {method: "GET", path: "/api/v1/rejected/3", want: 401},
		"no token, no change":          {method: "POST", path: drop, content: js, body: all, want: 401},
		"no token, nothing there":      {method: "GET", path: "/api/v1/nothing", want: 401},
		"a change":                     {method: "POST", path: drop, token: bearer, content: js, body: all, want: 200},
		"with a charset":               {method: "POST", path: drop, token: bearer, content: js + "; charset=utf-8", body: all, want: 200},
		"another origin":               {method: "POST", path: drop, token: bearer, content: js, body: all, origin: "https://evil.example", want: 403},
		"another site":                 {method: "POST", path: drop, token: bearer, content: js, body: all, site: "cross-site", want: 403},
		"a form":                       {method: "POST", path: drop, token: bearer, content: "text/plain", body: all, want: 400},
	} {
		resp, text := q.send(t, address)
		if resp.StatusCode != q.want {
			t.Errorf("%s: status %d %q, want %d", name, resp.StatusCode, text, q.want)
		}
		if did := len(fake.Calls()); (did == 1) != (q.want == 200) {
			t.Errorf("%s: %d operations were called", name, did)
		}
		if resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("X-Content-Type-Options") != "nosniff" || resp.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: headers %v", name, resp.Header)
		}
		if q.want == 401 && (!strings.Contains(text, "admin.token in spool.dir") || resp.Header.Get("WWW-Authenticate") == "") {
			t.Errorf("%s: %q does not say where the token is", name, text)
		}
		if strings.Contains(text, token) {
			t.Errorf("%s: the answer holds the token", name)
		}
	}
}

// Where the files could not be written, the token opens to nobody, and the rest works.
func TestWithoutAFolderForTheToken(t *testing.T) {
	address := serve(t, admin.Options{Operations: admintest.NewFake(), AccessDir: filepath.Join(t.TempDir(), "gone")})
	for _, tok := range []string{"", "Bearer ", "Bearer"} {
		if resp, _ := (request{method: "GET", path: "/api/v1/deadletters", token: tok}).send(t, address); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("token %q: status %d, want 401", tok, resp.StatusCode)
		}
	}
	if resp, _ := (request{method: "GET", path: "/api/v1/status"}).send(t, address); resp.StatusCode != http.StatusOK {
		t.Errorf("status %d, want 200", resp.StatusCode)
	}
}

func TestWithoutOperationsThereIsNoAPI(t *testing.T) {
	address := serve(t, admin.Options{AccessDir: t.TempDir()})
	if resp, _ := (request{method: "GET", path: "/api/v1/status"}).send(t, address); resp.StatusCode != http.StatusNotFound {
		t.Errorf("status %d, want 404", resp.StatusCode)
	}
}

func TestWrongRequests(t *testing.T) {
	fake := admintest.NewFake()
	address, access := serveAPI(t, fake)
	token := access.Token
	get := func(path string, want int, text string) request {
		return request{method: "GET", path: path, want: want, body: "", content: text}
	}
	for _, q := range []request{
		get("/api/v1/nothing", 404, "there is nothing at"),
		get("/api/v1/deadletters/drop", 405, "POST"),
		{method: "DELETE", path: "/api/v1/deadletters/1", want: 405, content: "GET, HEAD"},
		{method: "POST", path: "/api/v1/status", want: 405, content: "GET, HEAD"},
		get("/api/v1/deadletters/x", 400, "number from 1"),
		get("/api/v1/deadletters/0", 400, "number from 1"),
		get("/api/v1/deadletters/99999999999999999999", 400, "number from 1"),
		get("/api/v1/deadletters?limit=x", 400, "limit"),
		get("/api/v1/deadletters?limit=1001", 400, "1 to 1000"),
		get("/api/v1/deadletters?limit=-1", 400, "1 to 1000"),
		get("/api/v1/deadletters?after=-1", 400, "after"),
		get("/api/v1/deadletters?after=x", 400, "after"),
		get("/api/v1/deadletters?since=yesterday", 400, "RFC 3339"),
		get("/api/v1/deadletters?outptu=x", 400, `unknown parameter "outptu"`),
		get("/api/v1/rejected?output=x", 400, "unknown parameter"),
		get("/api/v1/events?limit=x", 400, "limit"),
		get("/api/v1/events?before=-1", 400, "before"),
		get("/api/v1/events?query=x", 400, "unknown parameter"),
		get("/api/v1/records?after=1", 400, "unknown parameter"),
		get("/api/v1/record?id=1", 400, "unknown parameter"),
		get("/api/v1/overview?window=1d", 400, "duration"),
		get("/api/v1/test", 405, "POST"),
	} {
		text := q.content
		q.token, q.content = "Bearer "+token, "application/json"
		checkRefusal(t, q, address, text)
	}
	for body, text := range map[string]string{
		``:                                 "the request is empty; it must be a JSON object",
		`{`:                                "the request ends inside its JSON",
		`[]`:                               "the request is a JSON array; it must be an object",
		`nonsense`:                         "the request is not JSON at byte 2",
		`{"all":true} {}`:                  "the request has something after its JSON object",
		`{"all":"yes"}`:                    "all is a string; it must be true or false",
		`{"ids":"1"}`:                      "ids is a string; it must be a list",
		`{"ids":[1.5]}`:                    "ids is a number; it must be a whole number",
		`{"output":true}`:                  "output is a boolean; it must be a string",
		`{"al":true}`:                      `there is no field "al" in this request`,
		`{"since":"yesterday"}`:            "a time in the request must be RFC 3339",
		`{"since":5}`:                      "a time in the request must be RFC 3339",
		strings.Repeat(" ", 64<<10) + `{}`: "larger than 65536",
	} {
		checkRefusal(t, request{
			method: "POST", path: "/api/v1/deadletters/drop", token: "Bearer " + token, content: "application/json", body: body, want: 400,
		}, address, text)
	}
	if called := fake.Calls(); len(called) > 0 {
		t.Errorf("a wrong request called %v", called)
	}
}

func checkRefusal(t *testing.T, q request, address, text string) {
	t.Helper()
	resp, body := q.send(t, address)
	if resp.StatusCode != q.want {
		t.Errorf("%s %s %.40q: status %d %q, want %d", q.method, q.path, q.body, resp.StatusCode, body, q.want)
	}
	var e admin.Error
	if err := json.Unmarshal([]byte(body), &e); err != nil || e.Code == "" || !strings.Contains(e.Text, text) {
		t.Errorf("%s %s %.40q: %q, want an error with %q", q.method, q.path, q.body, body, text)
	}
	if resp.StatusCode == http.StatusMethodNotAllowed && resp.Header.Get("Allow") != text {
		t.Errorf("%s %s: Allow %q, want %q", q.method, q.path, resp.Header.Get("Allow"), text)
	}
}

func TestStatusOfEveryError(t *testing.T) {
	fake := admintest.NewFake()
	address, _ := serveAPI(t, fake)
	for code, want := range map[admin.Code]int{
		admin.Invalid: 400, admin.Denied: 403, admin.NotFound: 404, admin.Conflict: 409, admin.Unavailable: 503, admin.Internal: 500,
	} {
		fake.Err = admin.Errorf(code, "no")
		resp, text := (request{method: "GET", path: "/api/v1/status"}).send(t, address)
		if resp.StatusCode != want || text != `{"code":"`+string(code)+`","error":"no"}`+"\n" {
			t.Errorf("%s: %d %q, want %s", code, resp.StatusCode, text, strconv.Itoa(want))
		}
	}
	fake.Err = errors.New("disk failed")
	if resp, text := (request{method: "GET", path: "/api/v1/status"}).send(t, address); resp.StatusCode != http.StatusInternalServerError || !strings.Contains(text, "disk failed") {
		t.Errorf("%d %q, want 500 with what failed", resp.StatusCode, text)
	}
}

func TestAccessFiles(t *testing.T) {
	dir := t.TempDir()
	if _, err := admin.ReadAccess(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("read before anything runs: %v, want ErrNotExist", err)
	}
	var last string
	for range 2 { // the second replaces what a killed one has left
		t.Run("running", func(t *testing.T) {
			address := serve(t, admin.Options{Operations: admintest.NewFake(), AccessDir: dir})
			(request{method: "GET", path: "/api/v1/status"}).send(t, address)
			got, err := admin.ReadAccess(dir)
			if err != nil || got.Address != address || len(got.Token) != 64 || got.Token == last {
				t.Errorf("read %v, %v, want %s and a new token of 64 digits", got, err, address)
			}
			last = got.Token
			entries, err := os.ReadDir(dir)
			if err != nil || len(entries) != 2 {
				t.Errorf("files %v %v, want two", entries, err)
			}
			for _, name := range []string{admin.TokenFile, admin.AddressFile} {
				info, err := os.Stat(filepath.Join(dir, name))
				if err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("%s: %v %v, want mode 0600", name, info, err)
				}
			}
		})
		if entries, _ := os.ReadDir(dir); len(entries) != 0 {
			t.Errorf("left behind after a stop: %v", entries)
		}
		if err := os.WriteFile(filepath.Join(dir, admin.TokenFile), []byte("old\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
