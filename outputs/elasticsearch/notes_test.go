package elasticsearch_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/elasticsearch/elasticsearchtest"
)

// TestLongNotes: notes as long as a webhook can make them are kept by states without
// one, and hold nothing up when they are looked up.
func TestLongNotes(t *testing.T) {
	server := elasticsearchtest.New(t)
	c := configOf(server)
	c.Latest = true
	out, m := newOutput(t, c), newMaker(t)
	// Each byte that is no UTF-8 becomes a character of three.
	long := strings.Replace(note("?"), "?", strings.Repeat("\x80", 500<<10), 1)
	var first, second []outputs.Message
	for i := range 2 {
		first = append(first, m.message(threat(fmt.Sprint("n", i), "update", "detected", long)))
	}
	for i := range 2 {
		second = append(second, m.message(threat(fmt.Sprint("n", i), "update", "assigned", "")))
	}
	for _, x := range first {
		if err := out.Send(context.Background(), []outputs.Message{x}); err != nil {
			t.Fatal(err)
		}
	}
	parts := [][]outputs.Message{second}
	for sends := 0; len(parts) > 0; sends++ {
		part := parts[0]
		err := out.Send(context.Background(), part)
		switch {
		case err == nil:
			parts = parts[1:]
		case errors.Is(err, outputs.ErrTooLarge) && len(part) > 1 && sends < 100:
			parts = append([][]outputs.Message{part[:len(part)/2], part[len(part)/2:]}, parts[1:]...)
		default:
			t.Fatalf("%d events: %v", len(part), err)
		}
	}
	for _, d := range server.Documents("defensecom-latest-threat") {
		text, _ := field(t, d.Source, "defensecom", "note", "message").(string)
		if field(t, d.Source, "defensecom", "threat", "state") != "assigned" || len(text) < 1500<<10 {
			t.Errorf("the state has a note of %d bytes", len(text))
		}
	}
}

// TestLateNote: the note of a creation that comes late is not the last one.
func TestLateNote(t *testing.T) {
	server := elasticsearchtest.New(t)
	c := configOf(server)
	c.Latest = true
	out, m := newOutput(t, c), newMaker(t)
	for _, batch := range [][]outputs.Message{
		{m.message(threat("a", "create", "detected", note("first")))},
		{m.message(threat("a", "update", "detected", note("last")))},
		{m.message(threat("a", "update", "assigned", "")), m.message(threat("a", "create", "detected", note("first")))},
	} {
		if err := out.Send(context.Background(), batch); err != nil {
			t.Fatal(err)
		}
	}
	list := server.Documents("defensecom-latest-threat")
	if len(list) != 1 || field(t, list[0].Source, "defensecom", "note", "message") != "last" {
		t.Errorf("there is %s", list[0].Source)
	}
}

// TestOverwriteKeepsTheFirstCreation: a creation that came again later is no news in a
// replay either.
func TestOverwriteKeepsTheFirstCreation(t *testing.T) {
	server := elasticsearchtest.New(t)
	c := configOf(server)
	c.Latest = true
	out, m := newOutput(t, c), newMaker(t)
	first, again := m.message(threat("a", "create", "detected", "")), m.message(threat("a", "create", "assigned", ""))
	for _, overwrite := range []bool{false, true} {
		for _, x := range []outputs.Message{first, again} {
			x.Overwrite = overwrite
			if overwrite {
				x.State = []byte(strings.Replace(string(x.State), `"T a"`, `"New title"`, 1))
			}
			if err := out.Send(context.Background(), []outputs.Message{x}); err != nil {
				t.Fatal(err)
			}
		}
	}
	list := server.Documents("defensecom-latest-threat")
	if len(list) != 1 || field(t, list[0].Source, "event", "id") != first.ID || !strings.Contains(string(list[0].Source), "New title") {
		t.Errorf("there is %s", list[0].Source)
	}
}

// TestNotesThatMayNotBeRead: a login that may not look up states pauses the output.
func TestNotesThatMayNotBeRead(t *testing.T) {
	server := elasticsearchtest.New(t)
	c := configOf(server)
	c.Latest = true
	out, m := newOutput(t, c), newMaker(t)
	x := m.message(threat("a", "update", "detected", ""))
	server.Intercept(func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		if r.URL.Path == "/_mget" {
			fmt.Fprintf(w, `{"docs":[{"_index":"defensecom-latest-threat","_id":%q,"error":{"type":"security_exception","reason":"action [indices:data/read/mget[shard]] is unauthorized"}}]}`, recordID(x))
		}
		return r.URL.Path == "/_mget"
	})
	var notReady *outputs.NotReady
	if err := out.Send(context.Background(), []outputs.Message{x}); !errors.As(err, &notReady) || !strings.Contains(err.Error(), "privileges") {
		t.Errorf("got %v", err)
	}
}
