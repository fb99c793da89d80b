package syslog_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/leodido/go-syslog/v4/rfc3164"
	"github.com/leodido/go-syslog/v4/rfc5424"

	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/syslog"
)

const shortCEF = `CEF:0|Defense.com|Defense.com|1.0|threat.create|t|8|cs6=x cs6Label=eventId`

// sample is a message with a body.
func sample(body string) outputs.Message {
	return outputs.Message{
		ID: "5f2d0c1b9a8e4763b1c2d3e4f5061728", Key: `threat/17/a%22b%5D%5C%0Ac`, Kind: "threat", Trigger: "create",
		Accepted: time.Date(2026, 6, 9, 9, 30, 4, 120_345_678, time.FixedZone("", 7200)), Sequence: 42, SyslogSeverity: 3, Body: []byte(body),
	}
}

func settings(change func(*syslog.Config)) syslog.Config {
	c := syslog.Default()
	c.Address = "tcp://siem.example.com:514"
	if change != nil {
		change(&c)
	}
	return c
}

func framed(c syslog.Config, m outputs.Message) string {
	return string(syslog.Framed(c, syslog.Options{Hostname: "relay01", Zone: time.FixedZone("", -3600)}, m))
}

func TestMessage(t *testing.T) {
	const json = `{"a":1}`
	const data = `[siemrelay@32473 id="5f2d0c1b9a8e4763b1c2d3e4f5061728" record="a\"b\]\\ c" sequence="42"]`
	const head = `<131>1 2026-06-09T07:30:04.120345Z relay01 siemrelay - threat.create ` + data + ` `
	counted := func(s string) string { return strconv.Itoa(len(s)) + " " + s }
	for _, c := range []struct {
		name   string
		change func(*syslog.Config)
		m      outputs.Message
		want   string
	}{
		{"default", nil, sample(shortCEF), head + shortCEF + "\n"},
		{"json", nil, sample(json), counted(head + json)},
		{"json by newline", func(c *syslog.Config) { c.Framing = "newline" }, sample(json), head + json + "\n"},
		{"cef counted", func(c *syslog.Config) { c.Framing = "octet-counting" }, sample(shortCEF), counted(head + shortCEF)},
		{"tls", func(c *syslog.Config) { c.Address = "tls://h" }, sample(shortCEF), counted(head + shortCEF)},
		{"udp", func(c *syslog.Config) { c.Address = "udp://h" }, sample(shortCEF), head + shortCEF},
		{"relp", func(c *syslog.Config) { c.Address = "relp://h" }, sample(shortCEF), head + shortCEF},
		{"bare", func(c *syslog.Config) { c.Header = "none" }, sample(shortCEF), shortCEF + "\n"},
		{"rfc3164 of cef", func(c *syslog.Config) { c.Header = "rfc3164" }, sample(shortCEF), "<131>Jun  9 06:30:04 relay01 " + shortCEF + "\n"},
		{"rfc3164 of json", func(c *syslog.Config) { c.Header, c.Framing = "rfc3164", "newline" }, sample(json), "<131>Jun  9 06:30:04 relay01 siemrelay: " + json + "\n"},
		{"everything else set", func(c *syslog.Config) {
			c.Facility, c.Hostname, c.AppName, c.MessageID, c.StructuredData = "kern", "host.example.com", "app", "msg", ""
		}, sample(shortCEF), "<3>1 2026-06-09T07:30:04.120345Z host.example.com app - msg - " + shortCEF + "\n"},
		{"nothing set", func(c *syslog.Config) { c.Facility, c.AppName, c.MessageID, c.StructuredData = "local7", "", "-", "" }, sample(shortCEF),
			"<187>1 2026-06-09T07:30:04.120345Z relay01 - - - - " + shortCEF + "\n"},
		{"no record", func(c *syslog.Config) { c.Header = "rfc5424" }, func() outputs.Message { m := sample(shortCEF); m.Key = "threat/17/"; return m }(),
			strings.Replace(head, ` record="a\"b\]\\ c"`, "", 1) + shortCEF + "\n"},
		{"control characters in text", func(c *syslog.Config) { c.Header = "none" }, sample("CEF:0|a\x00\n\r\tb\u0085\u2028\x7fc\xffd|"), "CEF:0|a b c\ufffdd|\n"},
		{"control characters in json", func(c *syslog.Config) { c.Header, c.Framing = "none", "newline" }, sample("{\n\t\"a\": \"\x7f\u0085\u2029\"}"), "{  \"a\": \"\\u007f\\u0085\\u2029\"}\n"},
		{"a bad severity", func(c *syslog.Config) { c.Header = "rfc3164" }, func() outputs.Message { m := sample(shortCEF); m.SyslogSeverity = 9; return m }(),
			"<135>Jun  9 06:30:04 relay01 " + shortCEF + "\n"},
	} {
		if got := framed(settings(c.change), c.m); got != c.want {
			t.Errorf("%s:\ngot  %q\nwant %q", c.name, got, c.want)
		}
	}
}

// TestHostnameOfTheMachineFitsTheHeader: what the system says is not ours to refuse.
func TestHostnameOfTheMachineFitsTheHeader(t *testing.T) {
	for hostname, want := range map[string]string{"my host\n\u00e9": "myhost", "\u00e9": "-", strings.Repeat("h", 300): strings.Repeat("h", 255)} {
		got := string(syslog.Framed(settings(nil), syslog.Options{Hostname: hostname}, sample(shortCEF)))
		if field := strings.Split(got, " ")[2]; field != want {
			t.Errorf("hostname %q became %q", hostname, field)
		}
	}
}

// TestRFC3164IsReadable has an independent parser read it.
func TestRFC3164IsReadable(t *testing.T) {
	c := settings(func(c *syslog.Config) { c.Header, c.Framing = "rfc3164", "newline" })
	text := strings.TrimSuffix(framed(c, sample(`{"a":"b"}`)), "\n")
	m, err := rfc3164.NewParser(rfc3164.WithYear(rfc3164.Year{YYYY: 2026})).Parse([]byte(text))
	if err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	got := m.(*rfc3164.SyslogMessage)
	if *got.Hostname != "relay01" || *got.Appname != "siemrelay" || *got.Message != `{"a":"b"}` || *got.Facility != 16 || *got.Severity != 3 {
		t.Errorf("read as %+v", got)
	}
}

// limited is a message whose text has at most limit bytes.
func limited(t testing.TB, limit int, body string) string {
	c := settings(func(c *syslog.Config) {
		c.Address, c.MaxMessageSize = "relp://h", config.Size(limit)
	})
	text := framed(c, sample(body))
	if len(text) > limit {
		t.Fatalf("%d bytes, at most %d are allowed: %q", len(text), limit, text)
	}
	m, err := rfc5424.NewParser().Parse([]byte(text))
	if err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	got := m.(*rfc5424.SyslogMessage)
	cut := (*got.StructuredData)["siemrelay@32473"]["cut"] == "true"
	if got.Message == nil {
		t.Fatalf("no message in %q", text)
	}
	if whole := *got.Message == body; cut == whole {
		t.Errorf("cut is %v, and the body is whole: %v", cut, whole)
	}
	return *got.Message
}

func TestCutCEF(t *testing.T) {
	long := strings.Repeat("日本 ", 500)
	body := `CEF:0|Defense.com|Defense.com|1.0|threat.note|` + strings.Repeat(`a\|`, 100) + `|8|rt=1781861400000 externalId=0f9c8b7a-1234-5678-9abc-def012345678 msg=` +
		strings.Repeat(`\=\\\n`, 400) + ` cs3=` + long + `x cs3Label=noteMessage cs6=5f2d0c1b9a8e4763b1c2d3e4f5061728 cs6Label=eventId cn1=73 cn1Label=ecsSeverity`
	for _, limit := range []int{1024, 1500, 2048, 4000, 8192} {
		got := limited(t, limit, body)
		p, err := parseCEF(got)
		if err != nil {
			t.Fatalf("limit %d: %v in %q", limit, err, got)
		}
		for key, want := range map[string]string{"cs6": "5f2d0c1b9a8e4763b1c2d3e4f5061728", "externalId": "0f9c8b7a-1234-5678-9abc-def012345678", "rt": "1781861400000", "cn1": "73"} {
			if p.Values[key] != want {
				t.Errorf("limit %d: %s is %q", limit, key, p.Values[key])
			}
		}
		if limit == 8192 {
			continue
		}
		if !strings.HasSuffix(p.Values["msg"], "[cut]") || !strings.HasPrefix(strings.Repeat("=\\\n", 400), strings.TrimSuffix(p.Values["msg"], "[cut]")) {
			t.Errorf("limit %d: msg is %q", limit, p.Values["msg"])
		}
		if limit <= 4000 && len(got) < limit-400 {
			t.Errorf("limit %d: only %d bytes are left", limit, len(got))
		}
	}
}

// TestCutCEFWithoutRoom: more keys than there is room for.
func TestCutCEFWithoutRoom(t *testing.T) {
	body := shortCEF
	for i := range 100 {
		body += fmt.Sprintf(" key%d=%s", i, strings.Repeat("v", 40+i))
	}
	got := limited(t, 1024, body)
	p, err := parseCEF(got)
	if err != nil || p.Values["cs6"] != "x" || p.Values["key0"] == "" || p.Values["key99"] != "" {
		t.Errorf("%v in %q", err, got)
	}
}

func TestCutJSON(t *testing.T) {
	text := strings.Repeat("é\"\\\n😀", 300)
	quoted, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	manyKeys, deep := "{", strings.Repeat(`{"a":[1,`, 30)+"0"+strings.Repeat("]}", 30)
	for i := range 2000 {
		manyKeys += fmt.Sprintf(`"key%d":%d,`, i, i)
	}
	manyKeys += `"last":0}`
	for _, c := range []struct {
		name, body string
		limit      int
		check      func(v map[string]any) bool
	}{
		{"the original goes first", fmt.Sprintf(`{"message":"m","event":{"id":"i","original":%s},"tags":["x"]}`, quoted), 1024, func(v map[string]any) bool {
			event := v["event"].(map[string]any)
			return v["message"] == "m" && event["id"] == "i" && event["original"] == nil && fmt.Sprint(v["tags"]) == "[defensecom_cut x]"
		}},
		{"the rest is whole then", fmt.Sprintf(`{"a":%s,"event":{"original":%s}}`, quoted, quoted), 6000, func(v map[string]any) bool { return v["a"] == text }},
		{"long strings are cut", fmt.Sprintf(`{"a":%s,"b":{"c":[%s]},"id":"short"}`, quoted, quoted), 2048, func(v map[string]any) bool {
			a, c := v["a"].(string), v["b"].(map[string]any)["c"].([]any)[0].(string)
			return v["id"] == "short" && strings.HasSuffix(a, "[cut]") && a == c && len(a) > 500 && strings.HasPrefix(text, strings.TrimSuffix(a, "[cut]"))
		}},
		{"long keys and numbers go", fmt.Sprintf(`{"id":"i","%s":1,"n":%s,"e":%s}`, strings.Repeat("k", 2000), strings.Repeat("9", 2000), quoted), 2048, func(v map[string]any) bool {
			return v["id"] == "i" && len(v) == 3
		}},
		{"too many members", `{"id":"i","x":` + manyKeys + `,"tags":"t"}`, 1024, func(v map[string]any) bool {
			x := v["x"].(map[string]any)
			return v["id"] == "i" && len(x) >= 16 && x["key0"] == 0.0 && fmt.Sprint(v["tags"]) == "[defensecom_cut t]"
		}},
		{"too deep", `{"id":"i","x":[` + deep + strings.Repeat(","+deep, 40) + `]}`, 1024, func(v map[string]any) bool { return v["id"] == "i" }},
	} {
		var v map[string]any
		got := limited(t, c.limit, c.body)
		if err := json.Unmarshal([]byte(got), &v); err != nil || !c.check(v) || !strings.Contains(got, "defensecom_cut") {
			t.Errorf("%s: %v in %s", c.name, err, got)
		}
	}
}

func TestCutText(t *testing.T) {
	for _, body := range []string{strings.Repeat("日", 1000), "{" + strings.Repeat("日", 1000), "CEF:0|" + strings.Repeat("日", 1000)} {
		got := limited(t, 1024, body)
		if !strings.HasSuffix(got, "日[cut]") || !strings.HasPrefix(body, strings.TrimSuffix(got, "[cut]")) || len(got) < 600 {
			t.Errorf("%q", got)
		}
	}
}

// FuzzMessage holds whatever is in an event to the rules of the wire.
func FuzzMessage(f *testing.F) {
	for _, format := range []string{"cef", "ecs"} {
		for i, m := range events(f, format) {
			if i%7 == 0 {
				f.Add(m.Body, m.Key, m.Kind, uint16(i*37))
			}
		}
	}
	f.Add([]byte(`{"a":"\ud83d\ude00"}`), "a/b/%zz", "\x00", uint16(0))
	f.Fuzz(func(t *testing.T, body []byte, key, kind string, room uint16) {
		limit := 1024 + int(room)
		c := settings(func(c *syslog.Config) { c.Address, c.MaxMessageSize = "relp://h", config.Size(limit) })
		m := sample("")
		m.Body, m.Key, m.Kind = bytes.Clone(body), key, kind
		text := []byte(framed(c, m))
		if !bytes.Equal(m.Body, body) {
			t.Error("the body was changed")
		}
		if len(text) > limit {
			t.Errorf("%d bytes, at most %d are allowed", len(text), limit)
		}
		for rest := text; len(rest) > 0; {
			r, size := utf8.DecodeRune(rest)
			if r == utf8.RuneError && size == 1 || r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 {
				t.Fatalf("%q on the wire: %q", rest[:size], text)
			}
			rest = rest[size:]
		}
		parsed, err := rfc5424.NewParser().Parse(text)
		if err != nil {
			t.Fatalf("%v in %q", err, text)
		}
		got := ""
		if p := parsed.(*rfc5424.SyslogMessage).Message; p != nil {
			got = *p
		}
		var document map[string]any
		if bytes.HasPrefix(body, []byte("{")) && utf8.Valid(body) && json.Unmarshal(body, &document) == nil && depth(body) < 200 {
			if !json.Valid([]byte(got)) {
				t.Errorf("is no JSON any more: %q", got)
			}
			if !bytes.Contains(text, []byte(`cut="true"`)) && meaning([]byte(got)) != meaning(body) {
				t.Errorf("%q became %q", body, got)
			}
		}
		if _, err := parseCEF(string(body)); err == nil && utf8.Valid(body) {
			if _, err := parseCEF(got); err != nil {
				t.Errorf("is no CEF any more: %v in %q", err, got)
			}
		}
	})
}

// depth is an upper limit of how deep the containers of a document are.
func depth(body []byte) int { return bytes.Count(body, []byte("{")) + bytes.Count(body, []byte("[")) }

// TestCutIsQuick: an event of many small parts takes no longer than one of a few
// large ones, give or take.
func TestCutIsQuick(t *testing.T) {
	cef, json := shortCEF, `{"id":"i"`
	var pairs, members strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&pairs, " key%d=v", i)
		fmt.Fprintf(&members, `,"key%d":%d`, i, i)
	}
	deep := strings.Repeat(`{"a":`, 60) + "1" + strings.Repeat("}", 60)
	for name, body := range map[string]string{
		"cef":  cef + pairs.String(),
		"json": json + members.String() + "}",
		"deep": json + `,"x":[` + strings.TrimSuffix(strings.Repeat(deep+",", 5000), ",") + "]}",
	} {
		began := time.Now()
		limited(t, 1024, body)
		if took := time.Since(began); took > 10*time.Second { // it takes a tenth of a second
			t.Errorf("%s took %v", name, took)
		} else {
			t.Logf("%s took %v", name, took)
		}
	}
}
