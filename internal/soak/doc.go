// Package soak holds the tests of endurance of the built siemrelay: kills by the
// hundred with three outputs, a day's outage of one output by volume, and a long run
// with faults of every sort.
//
// It guarantees that a short run of each is part of "go test ./...", and that its
// flags make it as long as docs/endurance.md says; each prints what it counted. It
// refuses to know the relay's packages: what a test finds was seen by a sender, in
// what an output's receiver took, or in /metrics.
package soak
