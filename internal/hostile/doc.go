// Package hostile holds the tests of the built siemrelay against a hostile network:
// clients that stall at every point of a connection, guess passwords, or send what no
// honest client sends, by the thousand, while a good client goes on sending webhooks.
//
// It guarantees that the attackers are a process of their own, which takes no time
// from the good client but that of the machine, that they reach only 127.0.0.0/8, and
// that they end by themselves. What it asserts holds on a slow machine too; how fast
// the good client was answered is logged, and docs/endurance.md has the figures. It
// refuses to know the relay's packages.
package hostile
