//go:build !race

package deadletter_test

// modelChecks is how many runs a model gets unless -rapid.checks says otherwise.
const modelChecks = "100"
