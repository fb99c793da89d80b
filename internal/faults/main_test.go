package faults_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// thorough is set by "make acceptance": more of the same.
var thorough = flag.Int("faults.rounds", 1, "how often what can be repeated is; 10 is thorough")

// builtBinary, in the environment, is the path of a binary that is built already: a test
// that starts itself again in a network namespace hands it on.
const builtBinary = "SIEMRELAY_TEST_BINARY"

// binary is the built command, set once by TestMain.
var binary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	if binary = os.Getenv(builtBinary); binary != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "siemrelay-faults-")
	if err == nil {
		defer os.RemoveAll(dir)
		binary, err = endtoend.Build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}
