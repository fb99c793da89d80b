// Package performance measures the built siemrelay under load, from outside, beside
// what the machine can do: a bare HTTP server that checks a login, and a bare log that
// shares its fdatasyncs.
//
// It guarantees that each figure is the median of rounds in which everything that is
// compared had its turn, that every webhook that was acknowledged was looked for at
// every output and found, and that the receivers of the outputs do as little as they
// can. It refuses to judge: what is fast enough depends on the machine, and
// docs/performance.md has the figures. "make load" takes its time; as part of
// "go test ./..." it runs for moments, to see that it works and nothing is lost.
package performance
