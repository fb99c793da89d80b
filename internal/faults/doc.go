// Package faults holds tests of the built siemrelay in which the machine around it
// fails: its processes are killed, its disks fill up, answer with errors or slowly,
// its network loses packets, its receivers stand still, it gets no memory, no
// descriptors and no processor time.
//
// Each test tells what it did and what it counted, and holds the relay to the
// promises of the README: what was accepted is delivered, pending or a dead letter;
// the ledger adds up at every scrape; duplicates stay within their bound. It refuses
// to know the relay's packages: whatever it says was seen from outside. docs/faults.md
// is the list of faults, with the tests of all packages.
//
// Faults that need root, strace, nftables or cgroups are skipped loudly where they are
// not to be had, and fail where the environment variable CI is set. Traffic stays on
// loopback, or in network namespaces that a test makes.
package faults
