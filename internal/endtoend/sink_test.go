package endtoend_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// TestBulkSink: one document for each id, a second is a conflict, and what was
// confirmed is in the file.
func TestBulkSink(t *testing.T) {
	s, err := endtoend.NewBulkSink(filepath.Join(t.TempDir(), "documents"))
	if err != nil {
		t.Fatal(err)
	}
	bulk := func(ids ...string) string {
		t.Helper()
		body := ""
		for _, id := range ids {
			body += fmt.Sprintf("{\"create\":{\"_index\":\"i\",\"_id\":%q}}\n{\"event\":{\"id\":%q}}\n", id, id)
		}
		response, err := http.Post("http://"+s.Address()+"/_bulk", "application/x-ndjson", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if got := bulk("a", "b"); strings.Count(got, `"status":201`) != 2 || !strings.Contains(got, `"errors":false`) {
		t.Errorf("two new ones got %s", got)
	}
	if got := bulk("b", "c"); strings.Count(got, `"status":409`) != 1 || strings.Count(got, `"status":201`) != 1 || !strings.Contains(got, `"errors":true`) {
		t.Errorf("an old one and a new one got %s", got)
	}
	if text, err := os.ReadFile(s.Path()); err != nil || strings.Count(string(text), "\n") != 3 || s.Taken() != 3 || s.Conflicts() != 1 {
		t.Errorf("%d taken, %d conflicts, %v, the file has %q", s.Taken(), s.Conflicts(), err, text)
	}
	http.DefaultClient.CloseIdleConnections()
	if err := s.Quiet(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestRELPSink: every message is in the file once it is confirmed, and a receiver that
// was down listens on the same port again.
func TestRELPSink(t *testing.T) {
	s, err := endtoend.NewRELPSink(filepath.Join(t.TempDir(), "messages"), "")
	if err != nil {
		t.Fatal(err)
	}
	s.Down()
	if _, err := net.Dial("tcp", s.Address()); err == nil {
		t.Error("it listens while it is down")
	}
	if err := s.Up(); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", s.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	frame := func(number int, command, data string) string {
		return fmt.Sprintf("%d %s %d %s\n", number, command, len(data), data)
	}
	io.WriteString(c, frame(1, "open", "relp_version=0")+
		frame(2, "syslog", "<134>1 2026-06-19T10:00:00Z host app - id - first body")+
		frame(3, "syslog", `<134>1 2026-06-19T10:00:00Z host app - id [a@1 b="c d"] second body`)+"4 close 0\n")
	replies, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1 rsp ", "2 rsp 6 200 OK\n", "3 rsp 6 200 OK\n", "4 rsp 0\n"} {
		if !strings.Contains(string(replies), want) {
			t.Errorf("the replies are %q, want %q among them", replies, want)
		}
	}
	if text, err := os.ReadFile(s.Path()); err != nil || string(text) != "first body\nsecond body\n" {
		t.Errorf("the file has %q, %v", text, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
