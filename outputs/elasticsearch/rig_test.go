package elasticsearch_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/mappings"
	"github.com/siemrelay/siemrelay/normalize"
	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/elasticsearch"
)

// start of the times of acceptance.
var start = time.Date(2026, 6, 19, 9, 30, 4, 0, time.UTC)

// maker makes messages of webhook bodies, as the relay does.
type maker struct {
	tb       testing.TB
	mapping  *normalize.Mapping
	ecs      normalize.Encoder
	state    normalize.Encoder
	sequence uint64
}

func newMaker(tb testing.TB, files ...normalize.MappingFile) *maker {
	tb.Helper()
	all := append([]normalize.MappingFile{{Name: mappings.File, Data: mappings.Defensecom()}}, files...)
	m, err := normalize.ParseMappings(all, normalize.MappingOptions{LinkHosts: []string{"my.defense.com"}})
	if err != nil {
		tb.Fatal(err)
	}
	ecs, err := normalize.NewEncoder("ecs", normalize.EncoderOptions{AgentVersion: "1.2.3", EventOriginal: true})
	if err != nil {
		tb.Fatal(err)
	}
	return &maker{tb: tb, mapping: m, ecs: ecs, state: normalize.NewState()}
}

// message makes the message of the next event.
func (m *maker) message(body string) outputs.Message {
	m.sequence++
	return m.messageOf(m.sequence, body)
}

// messageOf makes the message of the event with a sequence, always the same.
func (m *maker) messageOf(sequence uint64, body string) outputs.Message {
	id := fmt.Sprintf("%032x", sequence)
	var e normalize.Event
	m.mapping.Event(&e, normalize.Raw{ID: id, Sequence: sequence, Accepted: start.Add(time.Duration(sequence)), Body: []byte(body)})
	return outputs.Message{
		ID: id, Key: e.Key, Kind: e.Kind, Company: e.Company, Namespace: "default", Dataset: e.Dataset, EventKind: e.EventKind,
		Trigger: e.Trigger, Accepted: e.Accepted, Sequence: sequence, SyslogSeverity: e.SyslogSeverity,
		Body: m.ecs(nil, &e), State: m.state(nil, &e),
	}
}

// threat is the body of a webhook about a threat; more is put into it.
func threat(id, trigger, state, more string) string {
	return fmt.Sprintf(`{"record_type":"Threat","id":%q,"company_id":"17","trigger_action":%q,"title":"T %s","risk":"high","state":%q,`+
		`"type":"Scanner::Site","created_at":"2026-06-19T09:30:00Z"%s}`, id, trigger, id, state, more)
}

func note(text string) string {
	return fmt.Sprintf(`,"note_message":%q,"note_created_by":"Alex","note_created_at":"2026-06-19T10:00:00Z"`, text)
}

// recordID is the id of a record's document in the latest index.
func recordID(m outputs.Message) string {
	sum := sha256.Sum256([]byte(m.Key))
	return hex.EncodeToString(sum[:])
}

// oddBodies are the inputs of all golden cases of package normalize, and the samples.
func oddBodies(tb testing.TB) []string {
	tb.Helper()
	inputs, err := filepath.Glob("../../normalize/testdata/golden/*/input.json")
	if err != nil || len(inputs) < 200 {
		tb.Fatalf("found %d bodies: %v", len(inputs), err)
	}
	var bodies []string
	for _, path := range inputs {
		body, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		bodies = append(bodies, string(body))
	}
	for _, s := range mappings.Samples() {
		bodies = append(bodies, string(s.Body))
	}
	return bodies
}

// tally is what a delivery came to.
type tally struct {
	sends   int
	done    []outputs.Message
	refused map[string]error // by id
	paused  int              // how often the output was not ready
}

// deliver sends a batch until every message is settled, as the relay does; gap, which
// may be nil, is called before each further try.
func deliver(tb testing.TB, out outputs.Output, batch []outputs.Message, gap func()) tally {
	tb.Helper()
	t := tally{refused: map[string]error{}}
	deadline := time.Now().Add(5 * time.Minute)
	parts := [][]outputs.Message{batch}
	for len(parts) > 0 {
		if t.sends++; t.sends > 1 && gap != nil {
			gap()
		}
		if time.Now().After(deadline) {
			tb.Fatalf("%d parts are not settled", len(parts))
		}
		part := parts[0]
		parts = parts[1:]
		err := out.Send(context.Background(), part)
		var partial *outputs.Partial
		var notReady *outputs.NotReady
		switch {
		case err == nil:
			t.done = append(t.done, part...)
		case errors.As(err, &partial):
			var again []outputs.Message
			for i, r := range partial.Results {
				switch r.Status {
				case outputs.Done:
					t.done = append(t.done, part[i])
				case outputs.Refused:
					t.refused[part[i].ID] = r.Err
				default:
					again = append(again, part[i])
				}
			}
			if len(again) > 0 {
				parts = append([][]outputs.Message{again}, parts...)
			}
		case errors.Is(err, outputs.ErrTooLarge) && len(part) > 1:
			parts = append([][]outputs.Message{part[:len(part)/2], part[len(part)/2:]}, parts...)
		case errors.Is(err, outputs.ErrTooLarge):
			t.refused[part[0].ID] = err
		default:
			if errors.As(err, &notReady) {
				t.paused++
			}
			parts = append([][]outputs.Message{part}, parts...)
		}
	}
	return t
}

func newOutput(tb testing.TB, c elasticsearch.Config) outputs.Output {
	tb.Helper()
	out, err := elasticsearch.New(c, elasticsearch.Options{Name: "test"})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := out.Close(); err != nil {
			tb.Error(err)
		}
	})
	return out
}

// field reads a dotted field of a document, nil if there is none.
func field(tb testing.TB, source []byte, path ...string) any {
	tb.Helper()
	var v any
	if err := json.Unmarshal(source, &v); err != nil {
		tb.Fatal(err)
	}
	for _, key := range path {
		object, _ := v.(map[string]any)
		v = object[key]
	}
	return v
}

// dice is a source of numbers for a test and its server.
type dice struct {
	mu sync.Mutex
	r  *rand.Rand
}

func newDice(seed uint64) *dice { return &dice{r: rand.New(rand.NewPCG(seed, 1))} }

// IntN returns a number in [0,n).
func (d *dice) IntN(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.r.IntN(n)
}
