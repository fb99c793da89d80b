package hostile_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

var (
	seconds     = flag.Int("hostile.seconds", 2, "how long each attack takes")
	connections = flag.Int("hostile.connections", 2000, "how many connections stall at the same time")
	idle        = flag.Int("hostile.idle", 1000, "how many connections TestIdleConnections opens; 10,000 is thorough")
	thorough    = flag.Bool("hostile.thorough", false, "also each sort of stalled client alone, with the default timeouts")
)

// attackOptions, in the environment of the test binary, makes it an attacker: see
// attack.
const attackOptions = "SIEMRELAY_TEST_ATTACK"

// binary is the built command, set once by TestMain.
var binary string

func TestMain(m *testing.M) {
	if text := os.Getenv(attackOptions); text != "" {
		os.Exit(runAttack(text))
	}
	os.Exit(endtoend.Main(m, &binary))
}

// runAttack prints a report as JSON.
func runAttack(text string) int {
	var a attack
	err := json.Unmarshal([]byte(text), &a)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(a.run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
