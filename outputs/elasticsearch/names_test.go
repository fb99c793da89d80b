package elasticsearch_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/elasticsearch"
	"github.com/siemrelay/siemrelay/outputs/elasticsearch/elasticsearchtest"
)

// TestNamespaces: whatever the configuration takes as the namespace of a company makes
// a data stream, which is found again.
func TestNamespaces(t *testing.T) {
	server := elasticsearchtest.New(t)
	out, m := newOutput(t, configOf(server)), newMaker(t)
	for _, namespace := range []string{"default", "müller", "a+b@c", "100%", "a&b=c;d", "株式会社", strings.Repeat("x", 100)} {
		x := m.message(threat("a", "update", "detected", ""))
		x.Namespace = namespace
		if err := out.Send(context.Background(), []outputs.Message{x}); err != nil {
			t.Errorf("%s: %v", namespace, err)
			continue
		}
		x.Overwrite, x.Body = true, []byte(strings.Replace(string(x.Body), "detected", "assigned", 1))
		if err := out.Send(context.Background(), []outputs.Message{x}); err != nil {
			t.Errorf("%s: %v", namespace, err)
		}
		if list := server.Documents(".ds-logs-defensecom.threat-" + namespace); len(list) != 1 || !strings.Contains(string(list[0].Source), "assigned") {
			t.Errorf("%s: %d documents", namespace, len(list))
		}
	}
}

// realNamespaces is the same on a node.
func realNamespaces(t *testing.T, n *node) {
	m := newMaker(t)
	m.sequence = 95000
	out := newOutput(t, n.config)
	for _, namespace := range []string{"müller", "a+b@c", "100%", "a&b=c;d", "株式会社"} {
		x := m.message(threat("namespace", "update", "detected", ""))
		x.Namespace = namespace
		for range 2 { // the second finds the first
			if got := deliver(t, out, []outputs.Message{x}, func() { time.Sleep(100 * time.Millisecond) }); len(got.done) != 1 {
				t.Errorf("%s: %v", namespace, got.refused)
			}
			x.Overwrite = true
		}
		if h := n.search("logs-defensecom.threat-*", `{"term":{"event.id":"`+x.ID+`"}}`).Hits.Hits; len(h) != 1 || h[0].Version != 2 {
			t.Errorf("%s: %d documents", namespace, len(h))
		}
	}
	if err := elasticsearch.Setup(context.Background(), n.config, elasticsearch.SetupOptions{}); err != nil {
		t.Error(err)
	}
}
