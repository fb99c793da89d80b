//go:build race

package deadletter_test

// modelChecks is how many runs a model gets unless -rapid.checks says otherwise: SQLite
// in Go is some thirty times slower under the race detector.
const modelChecks = "5"
