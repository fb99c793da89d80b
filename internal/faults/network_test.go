package faults_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// insideNetwork, in the environment, says that the test runs in a network of its own.
const insideNetwork = "SIEMRELAY_TEST_NETWORK"

// ownNetwork runs the test again in a network namespace of its own, in which there is
// only loopback, and returns true there. Outside it returns false when that has ended:
// there is nothing to do then. It must not be a mount namespace too: that would keep the
// disks of other tests mounted.
func ownNetwork(t *testing.T, tools ...string) bool {
	t.Helper()
	if os.Getenv(insideNetwork) != "" {
		return true
	}
	needs(t, append(tools, "unshare", "ip")...)
	cmd := exec.Command("unshare", "--net", "sh", "-c", `ip link set lo up && exec "$@"`, "sh",
		os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1", "-test.v", "-test.timeout=4m", fmt.Sprintf("-faults.rounds=%d", *thorough))
	cmd.Env = append(os.Environ(), insideNetwork+"=1", builtBinary+"="+binary)
	out, err := cmd.CombinedOutput()
	switch {
	case !bytes.Contains(out, []byte("=== RUN")):
		endtoend.Skip(t, fmt.Errorf("run in a network namespace: %w: %s", err, out))
	case err != nil:
		t.Errorf("in a network namespace: %v\n%s", err, out)
	case bytes.Contains(out, []byte("--- SKIP")):
		t.Skipf("in a network namespace:\n%s", out)
	default:
		t.Logf("in a network namespace:\n%s", out)
	}
	return false
}

// filter replaces all rules of the test's own network by these, for packets that come
// in; none lets all through.
func filter(t *testing.T, rules ...string) {
	t.Helper()
	if os.Getenv(insideNetwork) == "" {
		t.Fatal("rules are for a network of the test's own")
	}
	text := "flush ruleset\n"
	if len(rules) > 0 {
		text += "table inet faults {\n chain in {\n  type filter hook input priority 0;\n  " + strings.Join(rules, "\n  ") + "\n }\n}\n"
	}
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		endtoend.Skip(t, fmt.Errorf("filter packets: %w: %s%s", err, out, text))
	}
}
