package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

var update = flag.Bool("update", false, "write what the scripts' cmp commands find into the scripts")

// TestScripts runs the commands as a person at a shell does. A script has
// tls.crt and tls.key, and these commands besides those of testscript:
//
//	exits CODE siemrelay ARG...   run it; it must end with CODE
//	start NAME ARG...             start siemrelay; its output is in NAME.out and NAME.err
//	serving NAME                  wait until it receives webhooks; $DOOR and $ADMIN are its addresses
//	terminate NAME [CODE]         send SIGTERM; it must end with CODE, or 0
//	await FILE REGEXP             wait until a file matches
//	records FILE ecs=N cef=N      wait until a file has so many records, and nothing else
//	secret FILE OTHER...          the one line of FILE must be in none of the others
//	mode FILE OCTAL               the file's permissions
//	empty FOLDER                  there must be nothing in it
//	until REGEXP siemrelay ARG... run it until its output matches
//	post FILE STATUS              send a body to the last $DOOR; the answer must have the status
//	refuse DIR OUTPUT N ERROR     the next N events of an output become dead letters, in a stopped spool
//
// The condition [free:ADDRESS] holds when nobody listens there.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			certificate, err := endtoend.NewCertificate()
			if err != nil {
				return err
			}
			env.Setenv("PATH", filepath.Dir(binary)+string(filepath.ListSeparator)+env.Getenv("PATH"))
			env.Vars = append(env.Vars, endtoend.RaceOptions)
			env.Setenv("TMPDIR", env.Getenv("WORK")+"/tmp")
			env.Values[running{}] = map[string]*endtoend.Process{}
			return certificate.Write(filepath.Join(env.WorkDir, "tls.crt"), filepath.Join(env.WorkDir, "tls.key"))
		},
		Condition: condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "start": start, "serving": serving, "terminate": terminate, "await": await,
			"records": countRecords, "secret": secret, "mode": mode, "empty": empty,
			"until": until, "post": post, "refuse": refuse,
		},
	})
}

// running is the key of a script's processes.
type running struct{}

func process(ts *testscript.TestScript, name string) *endtoend.Process {
	p := ts.Value(running{}).(map[string]*endtoend.Process)[name]
	if p == nil {
		ts.Fatalf("no process %s was started", name)
	}
	return p
}

// need ends the script when a command is misused.
func need(ts *testscript.TestScript, neg bool, ok bool) {
	if neg || !ok {
		ts.Fatalf("wrong use of the command, see TestScripts")
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) >= 2)
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		code = ended.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
	checkSecret(ts, "stdout", "stderr")
}

// checkSecret ends the script when a file holds a password of the tests.
func checkSecret(ts *testscript.TestScript, files ...string) {
	for _, f := range files {
		if strings.Contains(ts.ReadFile(f), endtoend.Secret) {
			ts.Fatalf("%s holds a password", f)
		}
	}
}

func start(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) >= 1)
	name := args[0]
	p, err := endtoend.Launch(endtoend.LaunchOptions{
		Binary: binary, Args: args[1:], Dir: ts.MkAbs("."), Log: ts.MkAbs(name + ".err"), Stdout: ts.MkAbs(name + ".out"),
		Env: []string{"PATH=" + ts.Getenv("PATH"), "HOME=" + ts.Getenv("HOME"), "TMPDIR=" + ts.Getenv("TMPDIR")},
	})
	ts.Check(err)
	ts.Value(running{}).(map[string]*endtoend.Process)[name] = p
	ts.Defer(func() { _ = p.Kill() }) // terminate has looked at one that matters
}

func serving(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 1)
	s, err := process(ts, args[0]).AwaitServing()
	ts.Check(err)
	ts.Setenv("DOOR", s.Address)
	ts.Setenv("ADMIN", s.Admin)
}

func terminate(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 1 || len(args) == 2)
	p := process(ts, args[0])
	if err := p.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		ts.Check(err)
	}
	code, err := p.AwaitExit()
	ts.Check(err)
	want := "0"
	if len(args) == 2 {
		want = args[1]
	}
	if strconv.Itoa(code) != want {
		ts.Fatalf("exit code %d, want %s, log:\n%s", code, want, p.Log())
	}
	checkSecret(ts, args[0]+".err", args[0]+".out")
}

// eventually waits until ok returns an empty text, and otherwise fails with it.
func eventually(ts *testscript.TestScript, ok func() string) {
	deadline := time.Now().Add(endtoend.Patience)
	for problem := ok(); problem != ""; problem = ok() {
		if time.Now().After(deadline) {
			ts.Fatalf("waited in vain: %s", problem)
		}
		time.Sleep(5 * time.Millisecond) // a poll
	}
}

func await(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 2)
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	eventually(ts, func() string {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if err != nil || !pattern.Match(text) {
			return fmt.Sprintf("%s does not match %s: %v\n%s", args[0], args[1], err, text)
		}
		return ""
	})
}

func countRecords(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) >= 2)
	want := strings.Join(args[1:], " ")
	if args[0] == "stdout" {
		if got := count([]byte(ts.ReadFile("stdout"))); got != want {
			ts.Fatalf("stdout has %s, want %s", got, want)
		}
		return
	}
	eventually(ts, func() string {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if got := count(text); err != nil || got != want {
			return fmt.Sprintf("%s has %s, want %s: %v", args[0], got, want, err)
		}
		return ""
	})
}

// count says what whole lines there are: "ecs=3 cef=3", without what is 0.
func count(text []byte) string {
	var names = []string{"ecs", "cef", "other"}
	n := map[string]int{}
	for line := range bytes.Lines(text) {
		var doc struct{ ECS struct{ Version string } }
		switch whole := bytes.HasSuffix(line, []byte("\n")); {
		case whole && json.Unmarshal(line, &doc) == nil && doc.ECS.Version != "":
			n["ecs"]++
		case whole && bytes.HasPrefix(line, []byte("CEF:0|")):
			n["cef"]++
		default:
			n["other"]++
		}
	}
	var parts []string
	for _, name := range names {
		if n[name] > 0 {
			parts = append(parts, fmt.Sprintf("%s=%d", name, n[name]))
		}
	}
	return strings.Join(parts, " ")
}

func secret(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) >= 2)
	value := strings.TrimSpace(ts.ReadFile(args[0]))
	if len(value) < 8 {
		ts.Fatalf("%s holds no secret", args[0])
	}
	for _, other := range args[1:] {
		if strings.Contains(ts.ReadFile(other), value) {
			ts.Fatalf("%s holds the secret of %s", other, args[0])
		}
	}
}

func mode(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 2)
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[1] {
		ts.Fatalf("%s has the mode %s, want %s", args[0], got, args[1])
	}
}

func empty(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 1)
	entries, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(entries) > 0 {
		ts.Fatalf("%s has %v in it", args[0], entries)
	}
}

// condition is [free:ADDRESS], for addresses that can't be chosen. It waits a
// moment for one, and takes it for free where CI is set: there the script must run.
func condition(cond string) (bool, error) {
	address, ok := strings.CutPrefix(cond, "free:")
	if !ok {
		return false, fmt.Errorf("unknown condition %q", cond)
	}
	for range 100 {
		ln, err := net.Listen("tcp", address)
		if err == nil {
			return true, ln.Close()
		}
		time.Sleep(50 * time.Millisecond) // a poll
	}
	return os.Getenv("CI") != "", nil
}
