package normalize_test

import (
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/mappings"
	"github.com/siemrelay/siemrelay/normalize"
)

func TestFormats(t *testing.T) {
	if got := strings.Join(normalize.Formats(), " "); got != "cef ecs" {
		t.Errorf("formats %q", got)
	}
	_, err := normalize.NewEncoder("leef", normalize.EncoderOptions{})
	if err == nil || err.Error() != `format "leef" is unknown, it must be one of cef, ecs` {
		t.Errorf("unknown format: %v", err)
	}
}

func TestNamespace(t *testing.T) {
	for namespace, valid := range map[string]bool{"": true, "default": true, "customer_1.eu": true, strings.Repeat("a", 100): true,
		strings.Repeat("a", 101): false, "a-b": false, "Prod": false, "a b": false, "ä": true, "*": false, "_x": true, "a\n": false, "Ä": false, "a\xff": false, "a/b": false, "a\u2028": false} {
		encode, err := normalize.NewEncoder("ecs", normalize.EncoderOptions{Namespace: namespace})
		if (err == nil) != valid {
			t.Errorf("namespace %q: %v", namespace, err)
		}
		if err != nil {
			continue
		}
		if namespace == "" {
			namespace = "default"
		}
		var e normalize.Event
		builtin(t).Event(&e, rawOf(mappings.Samples()[0].Body))
		if leaves := checkECS(t, encode(nil, &e)); leaves["data_stream.namespace"] != namespace || leaves["agent.version"] != "unknown" {
			t.Errorf("namespace %v, version %v", leaves["data_stream.namespace"], leaves["agent.version"])
		}
	}
}

// TestCEFExample is the example line of the mapping's specification, word for word.
func TestCEFExample(t *testing.T) {
	const want = `CEF:0|Defense.com|Defense.com|1.0|threat.create|Outdated software detected on a public facing server|8|` +
		`rt=1781861400000 start=1781861400000 externalId=0f9c8b7a-1234-5678-9abc-def012345678 ` +
		`deviceExternalId=abc12345-6789-0def-1234-56789abcdef0 dvchost=my.defense.com act=create cat=Scanner::Site ` +
		`request=https://my.defense.com/threats/0f9c8b7a-1234-5678-9abc-def012345678 ` +
		`msg=A version of the web server software with known vulnerabilities was found. ` +
		`cs1=detected cs1Label=threatState cs2=high cs2Label=risk cs5=Vulnerability scanner cs5Label=threatSource ` +
		`cs6=5f2d0c1b9a8e4763b1c2d3e4f5061728 cs6Label=eventId cn1=73 cn1Label=ecsSeverity`
	var e normalize.Event
	builtin(t).Event(&e, rawOf(mappings.Samples()[0].Body))
	if got := string(encoder(t, "cef", normalize.EncoderOptions{})(nil, &e)); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestEncodersAppend(t *testing.T) {
	for _, format := range normalize.Formats() {
		encode := encoder(t, format, normalize.EncoderOptions{})
		var e normalize.Event
		builtin(t).Event(&e, rawOf(mappings.Samples()[1].Body))
		alone := string(encode(nil, &e))
		if got := string(encode([]byte("before{"), &e)); got != "before{"+alone {
			t.Errorf("%s does not append: %s", format, got)
		}
	}
}

func TestWithoutOriginal(t *testing.T) {
	encode := encoder(t, "ecs", normalize.EncoderOptions{EventOriginal: false})
	for body, want := range map[string]any{`{"record_type":"Threat"}`: nil, `not JSON`: `not JSON`} {
		raw := rawOf([]byte(body))
		raw.Sequence = 0
		var e normalize.Event
		builtin(t).Event(&e, raw)
		leaves := checkECS(t, encode(nil, &e))
		if leaves["event.original"] != want || leaves["event.hash"] == nil || leaves["event.sequence"] != nil {
			t.Errorf("event.original of %s is %v, event.sequence %v", body, leaves["event.original"], leaves["event.sequence"])
		}
	}
}
