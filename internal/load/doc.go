// Package load sends webhooks to an endpoint as fast as it answers, or at a given
// rate, over a number of connections, and tells what became of each and how long the
// answers took.
//
// It guarantees that every webhook is a record of its own, so that each can be found
// again at the other end, that nothing is sent twice, and that what it counts as
// acknowledged was answered with 2xx. It refuses to know what a body says, and it
// reads of an answer no more than the id of the event.
package load
