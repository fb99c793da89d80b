// Package mutants breaks one rule of the program at a time and expects a test to
// notice. It guarantees that the tests of the promises in the README can fail;
// it refuses to know anything else. Run it with "make mutants".
package mutants
