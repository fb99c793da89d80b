//go:build mutants

package mutants

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutant is one broken rule: in file, old becomes broken, and a test of pkg that
// run selects must fail.
type mutant struct {
	name, file, old, broken, pkg, run string
}

var mutants = []mutant{
	{
		name:   "no fsync of the log",
		file:   "internal/spool/commit.go",
		old:    "if err := g.file.Sync(); err != nil {\n\t\ts.giveUp(g)\n\t\treturn diskError",
		broken: "if err := error(nil); err != nil {\n\t\ts.giveUp(g)\n\t\treturn diskError",
		pkg:    "./internal/spool", run: "PowerCut",
	},
	{
		name:   "no fsync of the directory",
		file:   "internal/spool/segment.go",
		old:    "err = s.fs.SyncDir(s.dirSegments())",
		broken: "err = nil",
		pkg:    "./internal/spool", run: "PowerCut",
	},
	{
		name:   "answer before fsync",
		file:   "internal/spool/commit.go",
		old:    "if err := s.write(g, b.buf[:size]); err != nil {",
		broken: "b.outcome = o\n\tclose(b.over)\n\tb.over = make(chan struct{})\n\tif err := s.write(g, b.buf[:size]); err != nil {",
		pkg:    "./internal/spool", run: "PowerCut",
	},
	{
		name:   "failed fsync is retried on the same file",
		file:   "internal/spool/commit.go",
		old:    "\t\ts.giveUp(g)\n\t\treturn diskError",
		broken: "\t\treturn diskError",
		pkg:    "./internal/spool", run: "NeverRetried",
	},
	{
		name:   "cursor is not synced",
		file:   "internal/spool/cursorfile.go",
		old:    "\tif err == nil {\n\t\terr = c.file.Sync()\n\t}",
		broken: "",
		pkg:    "./internal/spool", run: "PowerCut",
	},
	{
		name:   "segments that a cursor needs are released",
		file:   "internal/spool/release.go",
		old:    "next := of(p); lowest == 0 || next < lowest {",
		broken: "next := of(p); lowest == 0 || next > lowest {",
		pkg:    "./internal/spool", run: "NeverReleased|Model",
	},
	{
		name:   "the buffers of a batch are used again while it is written",
		file:   "internal/spool/append.go",
		old:    "\t\ts.pending, s.committing = nil, b\n",
		broken: "\t\ts.pending, s.committing = nil, b\n\t\ts.recycleLocked(b)\n",
		pkg:    "./internal/spool", run: "AnAppendedBodyIsOurs",
	},
	{
		name:   "the ledger's counts are not saved with the cursor",
		file:   "internal/spool/cursorfile.go",
		old:    "func (p position) encode() []byte {\n",
		broken: "func (p position) encode() []byte {\n\tp.delivered, p.filtered, p.dead, p.unreadable = 0, 0, 0, 0\n",
		pkg:    "./internal/spool", run: "AccountIsKept",
	},
	{
		name:   "the list of outputs is not written",
		file:   "internal/spool/roster.go",
		old:    "if slices.Equal(names, s.roster) {",
		broken: "if true {",
		pkg:    "./internal/spool", run: "MustNotSkip",
	},
	{
		name:   "a new output is not on the list before the next start",
		file:   "internal/spool/cursors.go",
		old:    "return c, s.noteOutput(name)",
		broken: "return c, nil",
		pkg:    "./internal/spool", run: "IsKnownAtOnce",
	},
	{
		name:   "the mark of a clean stop stays while the process runs",
		file:   "internal/spool/spool.go",
		old:    "return s.removeMark()",
		broken: "return nil",
		pkg:    "./internal/spool", run: "RetryOrRepeat",
	},
	{
		name:   "a start that serves nothing makes a crash a clean stop",
		file:   "internal/spool/mark.go",
		old:    "(s.o.Offline || !s.asked)",
		broken: "s.o.Offline",
		pkg:    "./internal/spool", run: "RetryOrRepeat",
	},
	{
		name:   "what comes within 30 seconds is a retry too",
		file:   "internal/spool/retries.go",
		old:    "e.unanswered && now.since-e.tried() >= retryAfter &&",
		broken: "e.unanswered &&",
		pkg:    "./internal/spool", run: "RetryOrRepeat",
	},
	{
		name:   "an older event of a record is merged with",
		file:   "internal/spool/retries.go",
		old:    "x.newestOf(d.record) == e && !anyHas",
		broken: "!anyHas",
		pkg:    "./internal/spool", run: "RetryOrRepeat",
	},
	{
		name:   "an event that was answered is merged with",
		file:   "internal/spool/retries.go",
		old:    "return e.unanswered && now.since",
		broken: "return now.since",
		pkg:    "./internal/spool", run: "RetryOrRepeat",
	},
	{
		name:   "letters count before the cursor has passed their events",
		file:   "internal/deadletter/put.go",
		old:    "\tp.unsettled[id] = unsettledLetter{l.Output, l.Pass}\n",
		broken: "",
		pkg:    "./internal/deadletter", run: "Test",
	},
	{
		name:   "letters that the cursor has not passed survive a crash",
		file:   "internal/deadletter/begin.go",
		old:    "settled = 0 AND\n",
		broken: "settled = 2 AND\n",
		pkg:    "./internal/deadletter", run: "Test",
	},
	{
		name:   "letters are settled before the cursor is saved",
		file:   "cmd/siemrelay/lanes.go",
		old:    "\tif err := l.events.Commit(s.Next, o); err != nil {\n\t\treturn err\n\t}\n\tl.letters.Settle(l.output, l.pass())\n",
		broken: "\tl.letters.Settle(l.output, l.pass())\n\tif err := l.events.Commit(s.Next, o); err != nil {\n\t\treturn err\n\t}\n",
		pkg:    "./cmd/siemrelay", run: "LanesAddUp|LettersAreSettledLast",
	},
	{
		name:   "the cursor moves before the output has answered",
		file:   "internal/relay/relay.go",
		old:    "if !r.deliver(ctx, grace) || !r.commit(ctx) {",
		broken: "if !r.commit(ctx) || !r.deliver(ctx, grace) {",
		pkg:    "./internal/relay", run: "Test",
	},
	{
		name:   "the cursor passes dead letters that are not stored",
		file:   "internal/relay/delivery.go",
		old:    "for r.bury(ctx) {",
		broken: "for {",
		pkg:    "./internal/relay", run: "DeadLettersComeFirst|Model",
	},
	{
		name:   "dead letters that can't be stored are dropped",
		file:   "internal/relay/letter.go",
		old:    "if !r.wait(ctx, reasonDeadLetters, err) {",
		broken: "if r.letters = r.letters[:0]; false {",
		pkg:    "./internal/relay", run: "DeadLettersComeFirst|Model",
	},
	{
		name:   "events are poison though all others fail too",
		file:   "internal/relay/poison.go",
		old:    "return b.due() && done > b.done",
		broken: "return b.due()",
		pkg:    "./internal/relay", run: "ReceiverIsAtFault",
	},
	{
		name:   "no fsync of the output's file",
		file:   "outputs/file/file.go",
		old:    "if err := o.f.Sync(); err != nil {",
		broken: "if err := error(nil); err != nil {",
		pkg:    "./outputs/file", run: "Test",
	},
	{
		name:   "a batch that failed leaves its beginning in the file",
		file:   "outputs/file/file.go",
		old:    "if err := o.f.Truncate(o.size); err != nil {",
		broken: "if err := error(nil); err != nil {",
		pkg:    "./outputs/file", run: "FaultInALaterPiece",
	},
	{
		name:   "the door answers 200 without the store",
		file:   "internal/receiver/door.go",
		old:    "if err != nil {\n\t\treturn Receipt{}, notStored // 503",
		broken: "if false {\n\t\treturn Receipt{}, notStored // 503",
		pkg:    "./internal/receiver", run: "Test",
	},
	{
		name:   "a connection that has shown a login makes room",
		file:   "internal/receiver/strangers.go",
		old:    "\tdefer s.mu.Unlock()\n\ts.strangers.remove(c)\n",
		broken: "\tdefer s.mu.Unlock()\n",
		pkg:    "./internal/receiver", run: "StrangersMakeRoom",
	},
	{
		name:   "the newest stranger makes room",
		file:   "internal/receiver/strangers.go",
		old:    "s.strangers.waiting.Front()",
		broken: "s.strangers.waiting.Back()",
		pkg:    "./internal/receiver", run: "StrangersMakeRoom",
	},
	{
		name:   "strangers keep a new connection out",
		file:   "internal/receiver/shutdown.go",
		old:    "(c.turnedAway || !s.makeRoom())",
		broken: "true",
		pkg:    "./internal/receiver", run: "StrangersMakeRoom",
	},
	{
		name:   "a handshake that waits for its client has a turn",
		file:   "internal/receiver/handshakes.go",
		old:    "\th.give()\n\tn, err := h.Conn.Read(p)\n\th.turns.take()\n\th.has = true\n",
		broken: "\tif !h.has {\n\t\th.turns.take()\n\t\th.has = true\n\t}\n\tn, err := h.Conn.Read(p)\n",
		pkg:    "./internal/receiver", run: "HandshakesHoldNoTurn",
	},
	{
		name:   "a refused handshake keeps its turn",
		file:   "internal/receiver/accept.go",
		old:    "\th.done() // before",
		broken: "\t// before",
		pkg:    "./internal/receiver", run: "PlainHTTPHoldsNoTurn",
	},
	{
		name:   "nobody hears of an answer that could not be written",
		file:   "internal/receiver/conn.go",
		old:    "\t\tc.unanswered(c.owed)\n",
		broken: "",
		pkg:    "./internal/receiver", run: "Unanswered",
	},
	{
		name:   "events of one batch lie on each other",
		file:   "internal/relay/arena.go",
		old:    "\t\ta.pieces[a.filling] = p[:len(p)+len(b)]\n",
		broken: "",
		pkg:    "./internal/relay", run: "Test",
	},
	{
		name:   "a batch is empty before it is delivered",
		file:   "internal/relay/batch.go",
		old:    "\tb.seal(start)\n\treturn total",
		broken: "\tb.seal(start)\n\tb.bodies.reset(0)\n\treturn total",
		pkg:    "./internal/relay", run: "Test",
	},
	{
		name:   "an event of another record is taken for an earlier one",
		file:   "internal/spool/chains.go",
		old:    "e.record != record || e.body != body",
		broken: "e.body != body",
		pkg:    "./internal/spool", run: "TheIndexFindsTheNewest",
	},
	{
		name:   "a request's body is read after it is somebody else's",
		file:   "outputs/elasticsearch/body.go",
		old:    "\tp.parts = nil\n",
		broken: "",
		pkg:    "./outputs/elasticsearch", run: "Payload",
	},
	{
		name:   "plain comparison of credentials",
		file:   "internal/login/login.go",
		old:    "same := subtle.ConstantTimeCompare(m.hash[:], want[:])\n\t\tif usable {\n",
		broken: "same := subtle.ConstantTimeCompare(m.hash[:], want[:])\n\t\tif usable && string(given) == l.Username+\":\"+l.Password() {\n\t\t\treturn m, true\n\t\t}\n\t\tif false {\n",
		pkg:    "./internal/login", run: "EveryLogin|HashesAre",
	},
	{
		name:   "a viewer changes things",
		file:   "internal/admin/gate.go",
		old:    "case !safe(r) && !caller.Operates():",
		broken: "case false:",
		pkg:    "./internal/admin", run: "TestGate",
	},
	{
		name:   "the console answers to any name",
		file:   "internal/admin/hosts.go",
		old:    "if loopback(host) ||",
		broken: "if true || loopback(host) ||",
		pkg:    "./internal/admin", run: "TestHosts",
	},
	{
		name:   "a session outlives its password",
		file:   "internal/admin/authenticate.go",
		old:    "if !s.users.logins.Holds(who.match) {",
		broken: "if false {",
		pkg:    "./internal/admin", run: "ANewPassword",
	},
	{
		name:   "a body's memory is used again while the store has it",
		file:   "internal/receiver/door.go",
		old:    "\treceipt, err := s.store.Append(object)",
		broken: "\ts.bodies.release(b)\n\treceipt, err := s.store.Append(object)",
		pkg:    "./internal/receiver", run: "BodyIsValid|BodiesDoNotMix",
	},
	{
		name:   "a line break in a CEF value is not escaped",
		file:   "normalize/cef_escape.go",
		old:    "dst = append(dst, '\\\\', 'n')",
		broken: "dst = append(dst, '\\n')",
		pkg:    "./normalize", run: "Golden|CEF",
	},
	{
		name:   "no checksum of the payload",
		file:   "internal/spool/record.go",
		old:    "if checksum(payload) != h.payload {",
		broken: "if false {",
		pkg:    "./internal/spool", run: "FlippedBit|Torn",
	},
}

func TestEveryMutantIsCaught(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			overlay := m.overlay(t, root)
			// It must compile, or its failure would say nothing.
			if out, err := goTest(root, overlay, m.pkg, "^$"); err != nil {
				t.Fatalf("the mutant does not compile: %v\n%s", err, out)
			}
			// They must pass without it, or their failure would say nothing.
			if out, err := goTest(root, "", m.pkg, m.run); err != nil {
				t.Fatalf("the tests fail without the mutant: %v\n%s", err, out)
			}
			out, err := goTest(root, overlay, m.pkg, m.run)
			if err == nil {
				t.Fatalf("no test of %s %q fails", m.pkg, m.run)
			}
			if !bytes.Contains(out, []byte("--- FAIL")) {
				t.Fatalf("the tests broke down instead of failing: %v\n%s", err, out)
			}
		})
	}
}

// overlay writes the broken file beside the tree and returns the overlay that
// puts it in place of the good one.
func (m mutant) overlay(t *testing.T, root string) string {
	t.Helper()
	path := filepath.Join(root, m.file)
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(src), m.old); n != 1 {
		t.Fatalf("%s has %d places like %q, want 1: the mutant must follow the code", m.file, n, m.old)
	}
	dir := t.TempDir()
	broken := filepath.Join(dir, filepath.Base(m.file))
	if err := os.WriteFile(broken, []byte(strings.Replace(string(src), m.old, m.broken, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(map[string]map[string]string{"Replace": {path: broken}})
	if err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return overlay
}

// goTest runs tests with an overlay, or of the tree as it is; results of that are kept
// between mutants, as the go command does.
func goTest(root, overlay, pkg, run string) ([]byte, error) {
	cmd := exec.Command("go", "test", "-overlay", overlay, "-vet=off", "-timeout=120s", "-run", run, pkg)
	cmd.Dir = root
	return cmd.CombinedOutput()
}
