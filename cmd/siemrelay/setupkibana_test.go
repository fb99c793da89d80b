package main

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/siemrelay/siemrelay/mappings/kibana"
	"github.com/siemrelay/siemrelay/outputs/elasticsearch"
)

// fakeKibana keeps the contract of Kibana's HTTP API as its documentation has it, and
// takes nothing that the documentation does not allow. No live Kibana was asked.
type fakeKibana struct {
	*httptest.Server
	t *testing.T

	mu       sync.Mutex
	version  string
	auth     string                     // the Authorization that is good
	objects  map[string]map[string]bool // by space, type/id
	rules    map[string]bool
	enabled  map[string]bool // rules that somebody has switched on
	requests []string
	// answer, if set, answers instead of what the path names; false leaves it to it.
	answer func(w http.ResponseWriter, r *http.Request) bool
}

const (
	fakeKey    = "VnVhQ2ZHY0JDZGJrUW0tZTVhT3g6dWkybHAyYXhUTm1zeWFrdzl0dk5udw=="
	fakeIDKey  = "VuaCfGcBCdbkQm-e5aOx:ui2lp2axTNmsyakw9tvNnw" // the same
	fakePrefix = "/base"
)

func newFakeKibana(t *testing.T) *fakeKibana {
	f := &fakeKibana{t: t, version: "8.19.7", auth: "ApiKey " + fakeKey, rules: map[string]bool{}, enabled: map[string]bool{}}
	f.objects = map[string]map[string]bool{"default": {}, "soc": {}}
	f.Server = httptest.NewTLSServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Close)
	return f
}

func (f *fakeKibana) say(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

type said = map[string]any

func (f *fakeKibana) fail(w http.ResponseWriter, status int, message string) {
	f.say(w, status, said{"statusCode": status, "error": http.StatusText(status), "message": message})
}

func (f *fakeKibana) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = append(f.requests, r.Method+" "+r.RequestURI)
	w.Header().Set("Kbn-Name", "kibana")
	if f.answer != nil && f.answer(w, r) {
		return
	}
	path, ok := strings.CutPrefix(r.URL.Path, fakePrefix)
	if !ok {
		w.Header().Set("Location", fakePrefix+"/login?next=%2F")
		w.WriteHeader(http.StatusFound)
		return
	}
	if r.Header.Get("Authorization") != f.auth {
		f.fail(w, http.StatusUnauthorized, "[security_exception]: unable to authenticate with provided credentials")
		return
	}
	space := "default"
	if m := regexp.MustCompile(`^/s/([^/]+)(/.*)$`).FindStringSubmatch(path); m != nil {
		space, path = m[1], m[2]
	}
	if r.Method == http.MethodPost && r.Header.Get("Kbn-Xsrf") == "" {
		f.fail(w, http.StatusBadRequest, "Request must contain a kbn-xsrf header.")
		return
	}
	switch r.Method + " " + path {
	case "GET /api/status":
		f.say(w, http.StatusOK, said{"name": "kibana", "version": said{"number": f.version}, "status": said{"overall": said{"level": "available"}}})
	case "GET /api/spaces/space/soc":
		f.say(w, http.StatusOK, said{"id": "soc", "name": "SOC", "disabledFeatures": []string{}})
	case "POST /api/saved_objects/_import":
		f.importObjects(w, r, space)
	case "POST /api/detection_engine/rules/_import":
		f.importRules(w, r)
	default:
		f.fail(w, http.StatusNotFound, "Not Found")
	}
}

// file is the form's one file; Kibana looks at the end of its name.
func (f *fakeKibana) file(w http.ResponseWriter, r *http.Request) []byte {
	if err := r.ParseMultipartForm(25 << 20); err != nil || len(r.MultipartForm.File) != 1 || len(r.MultipartForm.Value) != 0 {
		f.fail(w, http.StatusUnsupportedMediaType, "Unsupported Media Type")
		return nil
	}
	file, header, err := r.FormFile("file")
	if err != nil || !strings.HasSuffix(header.Filename, ".ndjson") {
		f.fail(w, http.StatusBadRequest, "Invalid file extension")
		return nil
	}
	b, err := io.ReadAll(file)
	if err != nil {
		f.t.Error(err)
	}
	return b
}

func (f *fakeKibana) importObjects(w http.ResponseWriter, r *http.Request, space string) {
	file := f.file(w, r)
	if file == nil {
		return
	}
	type object struct {
		Type, ID                                   string
		TypeMigrationVersion, CoreMigrationVersion string
		Attributes                                 struct{ Title string }
		References                                 []struct{ Type, ID, Name string }
	}
	var objects []object
	inFile := map[string]bool{}
	for line := range bytes.Lines(file) {
		var o object
		if err := json.Unmarshal(line, &o); err != nil {
			f.fail(w, http.StatusBadRequest, "Unexpected token")
			return
		}
		if older(f.version, o.TypeMigrationVersion) || older(f.version, o.CoreMigrationVersion) {
			f.fail(w, http.StatusUnprocessableEntity, "Document \""+o.ID+"\" belongs to a more recent version of Kibana")
			return
		}
		inFile[o.Type+"/"+o.ID] = true
		objects = append(objects, o)
	}
	results, errs := []said{}, []said{}
	for _, o := range objects {
		problem := said{}
		for _, ref := range o.References {
			if !inFile[ref.Type+"/"+ref.ID] && !f.objects[space][ref.Type+"/"+ref.ID] {
				problem = said{"type": "missing_references", "references": []said{{"type": ref.Type, "id": ref.ID}}}
			}
		}
		there := f.objects[space][o.Type+"/"+o.ID]
		if there && r.URL.Query().Get("overwrite") != "true" {
			problem = said{"type": "conflict"}
		}
		if len(problem) > 0 {
			errs = append(errs, said{"type": o.Type, "id": o.ID, "title": o.Attributes.Title, "error": problem})
			continue
		}
		result := said{"type": o.Type, "id": o.ID, "managed": false, "meta": said{"title": o.Attributes.Title, "icon": "discoverApp"}}
		if there {
			result["overwrite"] = true
		}
		// Ids are unique over all spaces: in a second one an object gets another.
		for name, others := range f.objects {
			if name != space && others[o.Type+"/"+o.ID] {
				result["destinationId"] = fmt.Sprintf("new-%s", o.ID)
			}
		}
		results = append(results, result)
		f.objects[space][o.Type+"/"+o.ID] = true
	}
	reply := said{"success": len(errs) == 0, "successCount": len(results), "warnings": []said{}}
	if len(results) > 0 {
		reply["successResults"] = results
	}
	if len(errs) > 0 {
		reply["errors"] = errs
	}
	f.say(w, http.StatusOK, reply)
}

func (f *fakeKibana) importRules(w http.ResponseWriter, r *http.Request) {
	file := f.file(w, r)
	if file == nil {
		return
	}
	count, taken, errs := 0, 0, []said{}
	for line := range bytes.Lines(file) {
		var rule struct {
			RuleID  string `json:"rule_id"`
			Enabled bool
		}
		if err := json.Unmarshal(line, &rule); err != nil {
			f.t.Error(err)
		}
		count++
		if f.rules[rule.RuleID] && r.URL.Query().Get("overwrite") != "true" {
			errs = append(errs, said{"rule_id": rule.RuleID, "error": said{"status_code": 409, "message": "rule_id: \"" + rule.RuleID + "\" already exists"}})
			continue
		}
		taken++
		f.rules[rule.RuleID], f.enabled[rule.RuleID] = true, rule.Enabled
	}
	f.say(w, http.StatusOK, said{
		"success": len(errs) == 0, "success_count": taken, "rules_count": count, "errors": errs,
		"exceptions_success": true, "exceptions_success_count": 0, "exceptions_errors": []said{},
	})
}

// ran is what a command said.
type ran struct {
	code        int
	out, errors string
}

// command runs siemrelay as a process would, in this one.
func command(t *testing.T, args ...string) ran {
	t.Helper()
	dir := t.TempDir()
	var files [2]*os.File
	for i, name := range []string{"out", "err"} {
		file, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		files[i] = file
	}
	code := run(t.Context(), args, streams{in: strings.NewReader(""), out: files[0], err: files[1]})
	var texts [2]string
	for i, file := range files {
		b, err := os.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(b)
	}
	return ran{code, texts[0], texts[1]}
}

// arguments are "setup kibana" against the fake, with a good login.
func (f *fakeKibana) arguments(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	ca, key := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "key")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw})
	for path, content := range map[string][]byte{ca: block, key: []byte(fakeKey + "\n")} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"setup", "kibana", "--url", f.URL + fakePrefix + "/", "--ca-file", ca, "--api-key-file", key}
}

// setup runs "setup kibana" against the fake, with more flags.
func (f *fakeKibana) setup(t *testing.T, more ...string) ran {
	t.Helper()
	r := command(t, append(f.arguments(t), more...)...)
	for _, secret := range []string{fakeKey, fakeIDKey, "s3cret"} {
		if strings.Contains(r.out+r.errors, secret) {
			t.Errorf("a secret is in what it says:\n%s%s", r.out, r.errors)
		}
	}
	return r
}

func TestSetupKibana(t *testing.T) {
	f := newFakeKibana(t)
	r := f.setup(t)
	if r.code != exitOK || r.errors != "" {
		t.Fatalf("code %d: %s%s", r.code, r.out, r.errors)
	}
	want := bytes.Count(kibana.SavedObjects(), []byte("\n"))
	if got := strings.Count(r.out, " imported\n"); got != want || len(f.objects["default"]) != want {
		t.Errorf("%d objects are said to be imported and %d are there, want %d:\n%s", got, len(f.objects["default"]), want, r.out)
	}
	if !strings.Contains(r.out, "Kibana 8.19.7 at "+f.URL+fakePrefix+", space default\n") ||
		!strings.HasSuffix(r.out, "Open "+f.URL+fakePrefix+"/app/dashboards#/view/defensecom-overview\n") {
		t.Errorf("it says\n%s", r.out)
	}
	if len(f.rules) > 0 {
		t.Error("rules came without --rules")
	}

	again := f.setup(t)
	if again.code != exitOK || strings.Count(again.out, " replaced\n") != want || len(f.objects["default"]) != want {
		t.Errorf("the second time: code %d, %d objects:\n%s%s", again.code, len(f.objects["default"]), again.out, again.errors)
	}
}

func TestSetupKibanaInASpace(t *testing.T) {
	f := newFakeKibana(t)
	if r := f.setup(t); r.code != exitOK {
		t.Fatal(r.errors)
	}
	r := f.setup(t, "--space", "soc")
	if r.code != exitOK || len(f.objects["soc"]) == 0 {
		t.Fatalf("code %d: %s%s", r.code, r.out, r.errors)
	}
	if !strings.HasSuffix(r.out, "Open "+f.URL+fakePrefix+"/s/soc/app/dashboards#/view/new-defensecom-overview\n") {
		t.Errorf("the link is not that of the dashboard there:\n%s", r.out)
	}
	r = f.setup(t, "--space", "sco")
	if r.code != exitFailure || !strings.Contains(r.errors, "look up the space sco: there is none") || f.objects["sco"] != nil {
		t.Errorf("code %d: %s", r.code, r.errors)
	}
	r = f.setup(t, "--space", "default")
	if r.code != exitOK || !strings.Contains(r.out, f.URL+fakePrefix+"/app/") {
		t.Errorf("code %d: %s%s", r.code, r.out, r.errors)
	}
}

// TestSetupKibanaRules: what an operator has switched on stays on.
func TestSetupKibanaRules(t *testing.T) {
	f := newFakeKibana(t)
	r := f.setup(t, "--rules")
	if r.code != exitOK || len(f.rules) != 2 || strings.Count(r.out, "imported, switched off") != 2 {
		t.Fatalf("code %d, rules %v: %s%s", r.code, f.rules, r.out, r.errors)
	}
	f.enabled["defensecom-critical-threat"] = true
	delete(f.rules, "defensecom-feed-silent")
	r = f.setup(t, "--rules")
	if r.code != exitOK || !f.enabled["defensecom-critical-threat"] || len(f.rules) != 2 ||
		strings.Count(r.out, "imported, switched off") != 1 || strings.Count(r.out, "stays as it is") != 1 {
		t.Errorf("code %d, rules %v, enabled %v: %s%s", r.code, f.rules, f.enabled, r.out, r.errors)
	}
}

func TestSetupKibanaLogins(t *testing.T) {
	f := newFakeKibana(t)
	dir := t.TempDir()
	key, password, wrong := filepath.Join(dir, "id-key"), filepath.Join(dir, "password"), filepath.Join(dir, "wrong")
	for path, content := range map[string]string{key: fakeIDKey, password: "s3cret\n", wrong: "c29tZTpvdGhlcg=="} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if r := f.setup(t, "--api-key-file", key); r.code != exitOK {
		t.Errorf("id:key is refused: %s", r.errors)
	}
	if r := f.setup(t, "--api-key-file", wrong); r.code != exitFailure || !strings.Contains(r.errors, "does not know the login (401)") {
		t.Errorf("code %d: %s", r.code, r.errors)
	}
	if r := f.setup(t, "--api-key-file", filepath.Join(dir, "none")); r.code != exitFailure || !strings.Contains(r.errors, "read --api-key-file: ") {
		t.Errorf("code %d: %s", r.code, r.errors)
	}
	f.auth = "Basic ZWxhc3RpYzpzM2NyZXQ=" // elastic:s3cret
	if r := f.setup(t, "--api-key-file", "", "--username", "elastic", "--password-file", password); r.code != exitOK {
		t.Errorf("a user is refused: %s", r.errors)
	}
	t.Setenv(kibanaPasswordVariable, "s3cret")
	if r := f.setup(t, "--api-key-file", "", "--username", "elastic"); r.code != exitOK {
		t.Errorf("a user with the password of the environment is refused: %s", r.errors)
	}
	t.Setenv(kibanaKeyVariable, fakeKey)
	f.auth = "ApiKey " + fakeKey
	if r := f.setup(t, "--api-key-file", ""); r.code != exitOK {
		t.Errorf("the key of the environment is refused: %s", r.errors)
	}
}

// TestSetupKibanaRefusals: for everything that goes wrong, an error that says what to do.
func TestSetupKibanaRefusals(t *testing.T) {
	status := func(status int, header, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			if name, value, ok := strings.Cut(header, ": "); ok {
				w.Header().Del("Kbn-Name")
				w.Header().Set(name, value)
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
			return true
		}
	}
	at := func(path string, answer func(http.ResponseWriter, *http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			return strings.Contains(r.URL.Path, path) && answer(w, r)
		}
	}
	objects, rules := "saved_objects/_import", "rules/_import"
	for _, c := range []struct {
		name   string
		answer func(http.ResponseWriter, *http.Request) bool
		args   []string
		code   int
		want   string
	}{
		{"starting", status(503, "", "Kibana server is not ready yet"), nil, exitUnavailable, "not available (503): Kibana server is not ready yet"},
		{"elasticsearch", status(401, "X-Elastic-Product: Elasticsearch", "{}"), nil, exitFailure, "this is Elasticsearch; Kibana has an address of its own"},
		{"opensearch", status(200, "osd-name: x", `{"version":{"number":"2.19.0"}}`), nil, exitFailure, "this is OpenSearch Dashboards"},
		{"a web server", status(200, "", "<html>welcome</html>"), nil, exitFailure, "is not Kibana: <html>welcome</html>"},
		{"not found", status(404, "", "no"), nil, exitFailure, "refused (404): no"},
		{"old", status(200, "", `{"version":{"number":"8.8.2"}}`), nil, exitFailure, "Kibana 8.8.2 is older than 8.9.0"},
		{"much older", status(200, "", `{"version":{"number":"7.17.28"}}`), nil, exitFailure, "older than 8.9.0"},
		{"unreadable version", status(200, "", `{"version":{"number":"x"}}`), nil, exitFailure, "older than 8.9.0"},
		{"endless", at("status", func(w http.ResponseWriter, _ *http.Request) bool {
			_, _ = w.Write(make([]byte, maxKibanaReply+1))
			return true
		}), nil, exitUnavailable, "hardly Kibana"},
		{"forbidden", at(objects, status(403, "", `{"message":"Unable to bulk_create dashboard"}`)), nil, exitFailure, "it needs Saved Objects Management: All in the space default: Unable to bulk_create dashboard"},
		{"too large", at(objects, status(413, "", "")), nil, exitFailure, "the file is too large (413)"},
		{"busy", at(objects, status(429, "", `{"message":"slow down"}`)), nil, exitUnavailable, "not available (429): slow down"},
		{"newer objects", at(objects, status(422, "", `{"message":"belongs to a more recent version of Kibana"}`)), nil, exitFailure, "belongs to a more recent version"},
		{"some", at(objects, status(200, "", `{"success":false,"successCount":1,"successResults":[{"type":"search","id":"a","meta":{"title":"A"}}],"errors":[{"type":"search","id":"b","error":{"type":"missing_references","references":[{"type":"index-pattern","id":"c"}]}},{"type":"dashboard","id":"d","error":{"type":"unknown","message":"e","statusCode":500}}]}`)), nil, exitFailure,
			"search/b: missing_references index-pattern/c\nimport saved objects: dashboard/d: unknown e"},
		{"less", at(objects, status(200, "", `{"success":true,"successCount":1}`)), nil, exitFailure, "took 1 of 9 and does not say why"},
		{"cut", at(objects, status(200, "", `{"success":true,"successCo`)), nil, exitUnavailable, "doing it again does no harm"},
		{"other JSON", at(objects, status(200, "", `[]`)), nil, exitUnavailable, "the reply is none of Kibana's"},
		{"broken off", at(objects, func(w http.ResponseWriter, _ *http.Request) bool { panic(http.ErrAbortHandler) }), nil, exitUnavailable, "ask Kibana: "},
		{"echo", at(objects, status(400, "", "you sent ApiKey "+fakeKey+"\x1b[31m")), nil, exitFailure, `you sent ApiKey ***\x1b[31m`},
		{"no spaces", at("spaces", status(403, "", `{"message":"Forbidden"}`)), []string{"--space", "soc"}, exitFailure, "look up the space soc: the login may not (403)"},
		{"no security", at(rules, status(404, "", `{"message":"Not Found"}`)), []string{"--rules"}, exitFailure, "this Kibana has no Elastic Security (404)"},
		{"no rules", at(rules, status(403, "", `{"message":"Forbidden"}`)), []string{"--rules"}, exitFailure, "it needs Security: All"},
		{"bad rule", at(rules, status(200, "", `{"success":false,"success_count":1,"errors":[{"rule_id":"a","error":{"status_code":400,"message":"query: Required"}}]}`)), []string{"--rules"}, exitFailure, "a (400): query: Required"},
		{"fewer rules", at(rules, status(200, "", `{"success":true,"success_count":1,"errors":[]}`)), []string{"--rules"}, exitFailure, "took 1 of 2"},
		{"cut rules", at(rules, status(200, "", `{"succ`)), []string{"--rules"}, exitUnavailable, "none of Kibana's"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFakeKibana(t)
			f.answer = c.answer
			f.Config.ErrorLog = nil
			r := f.setup(t, c.args...)
			if r.code != c.code || !strings.Contains(r.errors, c.want) {
				t.Errorf("code %d, want %d; it says\n%s\nwant\n%s", r.code, c.code, r.errors, c.want)
			}
			if strings.Contains(r.out, "Open ") {
				t.Errorf("it says that all is well:\n%s", r.out)
			}
		})
	}
}

// TestSetupKibanaAddress: what is wrong with the way there.
func TestSetupKibanaAddress(t *testing.T) {
	f := newFakeKibana(t)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--url", gone.URL}, exitUnavailable, "connection refused"},
		{[]string{"--url", strings.Replace(plain.URL, "http:", "https:", 1)}, exitUnavailable, "is it http:// in --url?"},
		{[]string{"--url", plain.URL}, exitFailure, "Warning: --url is without TLS"},
		{[]string{"--url", f.URL}, exitFailure, "a redirect to /base/login?next=%2F: is that the address, or is the base path missing"},
		{[]string{"--ca-file", ""}, exitUnavailable, "name its authority with --ca-file"},
		{[]string{"--ca-file", "setupkibana.go"}, exitFailure, "no PEM certificate in it"},
		{[]string{"--url", "kibana:5601"}, exitUsage, "--url is no address"},
		{[]string{"--url", ""}, exitUsage, "--url is missing"},
		{[]string{"--url", "https://elastic:s3cret@kibana"}, exitUsage, "--url has a user name in it"},
		{[]string{"--url", "https://kibana/app/home#/"}, exitUsage, "--url has a query or a fragment"},
		{[]string{"--url", "https://kibana/s/soc/app/home"}, exitUsage, "--url is the address of a page"},
		{[]string{"--space", "a/../b"}, exitUsage, `--space "a/../b" is no id`},
		{[]string{"--username", "elastic"}, exitUsage, "--api-key-file and --username don't go together"},
		{[]string{"--api-key-file", ""}, exitUsage, "a login is missing"},
		{[]string{"--api-key-file", "", "--username", "elastic"}, exitUsage, "--username needs a password"},
		{[]string{"--api-key-file", "", "--password-file", "x"}, exitUsage, "--password-file needs a --username"},
		{[]string{"--api-key-file", "setupkibana.go"}, exitFailure, "more than one line"},
		{[]string{"--insecure-skip-verify"}, exitUsage, "don't go together"},
		{[]string{"--timeout", "0s"}, exitUsage, "--timeout 0s"},
		{[]string{"extra"}, exitUsage, "unknown command"},
	} {
		if r := f.setup(t, c.args...); r.code != c.code || !strings.Contains(r.errors, c.want) {
			t.Errorf("%v: code %d, want %d; it says\n%s\nwant\n%s", c.args, r.code, c.code, r.errors, c.want)
		}
	}
}

// TestSetupKibanaDryRun: what is printed can be imported by hand, and nobody is asked.
func TestSetupKibanaDryRun(t *testing.T) {
	f := newFakeKibana(t)
	r := f.setup(t, "--dry-run")
	if r.code != exitOK || r.out != string(kibana.SavedObjects()) || r.errors != "Would be sent: POST /api/saved_objects/_import?overwrite=true\n" {
		t.Errorf("code %d, it says %s", r.code, r.errors)
	}
	r = f.setup(t, "--dry-run", "--rules", "--space", "soc")
	if r.code != exitOK || r.out != string(kibana.SavedObjects())+string(kibana.Rules()) ||
		!strings.HasSuffix(r.errors, "Would be sent: POST /s/soc/api/detection_engine/rules/_import\n") {
		t.Errorf("code %d, it says %s", r.code, r.errors)
	}
	if len(f.requests) > 0 {
		t.Errorf("it asked %v", f.requests)
	}
	if r := command(t, "setup", "kibana", "--dry-run"); r.code != exitOK || r.out == "" {
		t.Errorf("without an address: code %d, %s", r.code, r.errors)
	}
}

// TestGuideToKibana holds docs/kibana.md to what the program does: the rights of the
// output's key, and what setup prints.
func TestGuideToKibana(t *testing.T) {
	b, err := os.ReadFile("../../docs/kibana.md")
	if err != nil {
		t.Fatal(err)
	}
	guide := string(b)
	_, request, _ := strings.Cut(guide, "POST /_security/api_key\n")
	request, _, _ = strings.Cut(request, "```")
	var key struct {
		RoleDescriptors map[string]any `json:"role_descriptors"`
	}
	var want any
	if err := errors.Join(json.Unmarshal([]byte(request), &key), json.Unmarshal([]byte(elasticsearch.WriterPrivileges), &want)); err != nil {
		t.Fatal(err)
	}
	if got := key.RoleDescriptors["siemrelay"]; !reflect.DeepEqual(got, want) {
		t.Errorf("the guide's key may %v, the output needs %v", got, want)
	}
	f := newFakeKibana(t)
	said := strings.ReplaceAll(f.setup(t).out, f.URL+fakePrefix, "https://kibana.example.com:5601")
	if !strings.Contains(guide, "```\n"+said+"```\n") {
		t.Errorf("the guide does not show what setup prints:\n%s", said)
	}
	if !strings.Contains(guide, kibana.Oldest[:3]) {
		t.Errorf("the guide does not name Kibana %s", kibana.Oldest)
	}
}
