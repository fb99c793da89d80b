package faults_test

import (
	"flag"
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

func TestMain(m *testing.M) {
	binary = os.Getenv(builtBinary)
	os.Exit(endtoend.Main(m, &binary))
}
