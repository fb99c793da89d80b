//go:build !linux

package syslog

import (
	"net"
	"time"
)

// Elsewhere than on Linux the guard is the deadlines, the reader of the connection
// and the hold alone.

func guard(*net.TCPConn, time.Duration) {}

func peerEnded(*net.TCPConn) bool { return false }

func unconfirmed(*net.TCPConn) (int, error) { return 0, nil }

func pendingError(*net.UDPConn) error { return nil }
