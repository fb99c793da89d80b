package syslog

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// guard lets the kernel give up a connection whose peer confirms nothing for
// timeout: TCP_USER_TIMEOUT, tcp(7). A system that doesn't know it has the deadlines.
func guard(c *net.TCPConn, timeout time.Duration) {
	_ = onSocket(c, func(fd int) {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(timeout.Milliseconds()))
	})
}

// peerEnded asks the socket, without waiting, whether the peer closed it or its half,
// or reset it.
func peerEnded(c *net.TCPConn) bool {
	ended := false
	closed := onSocket(c, func(fd int) {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(p, 0)
		ended = err == nil && n > 0 && p[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
	})
	return ended || closed != nil
}

// unconfirmed is how many bytes the receiver's system has not confirmed yet:
// SIOCOUTQ, tcp(7).
func unconfirmed(c *net.TCPConn) (n int, err error) {
	outer := onSocket(c, func(fd int) { n, err = unix.IoctlGetInt(fd, unix.SIOCOUTQ) })
	if outer != nil {
		return 0, outer
	}
	return n, err
}

// pendingError is what the network said about datagrams that were sent before.
func pendingError(c *net.UDPConn) (err error) {
	raw, outer := c.SyscallConn()
	if outer != nil {
		return outer
	}
	outer = raw.Control(func(fd uintptr) {
		n, e := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		switch {
		case e != nil:
			err = e
		case n != 0:
			err = unix.Errno(n)
		}
	})
	if outer != nil {
		return outer
	}
	return err
}

func onSocket(c *net.TCPConn, f func(fd int)) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) { f(int(fd)) })
}
