package tcpingest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// maxBackOff is the longest wait after a failed accept.
	maxBackOff = time.Second
	// logEvery bounds how often a shortage is logged.
	logEvery = 10 * time.Second
	// maxRefusing bounds the connections that are told too_many_connections at
	// the same time; more are closed without a word.
	maxRefusing = 32
	// sendBuffer is what the kernel may keep of a connection's answers. Left to
	// itself it takes megabytes of a client that never reads; a full window of
	// answers is a tenth of this.
	sendBuffer = 128 << 10
)

// A peer that vanished without a word is noticed after two minutes.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 15 * time.Second, Count: 4}

// accept serves connections until ln is closed. Whatever else fails is a
// shortage (descriptors, memory) or one client's doing: it waits and goes on.
func (s *Server) accept(ctx context.Context, ln net.Listener, running *sync.WaitGroup) error {
	var (
		backOff  time.Duration
		logged   time.Time
		refusing = make(chan struct{}, maxRefusing)
	)
	complain := func(problem string, err error) {
		if now := time.Now(); now.Sub(logged) >= logEvery {
			logged = now
			s.cfg.Logger.Error(problem, "error", err, "connections", s.Stats().Connections)
		}
	}
	for {
		nc, err := ln.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept on %s: %w", ln.Addr(), err)
		case err != nil:
			complain("tcp: cannot accept connections", err)
			backOff = min(max(2*backOff, 5*time.Millisecond), maxBackOff)
			time.Sleep(backOff)
			continue
		}
		backOff = 0
		if tcp, ok := nc.(*net.TCPConn); ok {
			// These fail only on a connection that is gone, which its read tells.
			_ = tcp.SetKeepAliveConfig(keepAlive)
			_ = tcp.SetWriteBuffer(sendBuffer)
		}
		c := s.newConn(nc)
		if err = s.add(c); err == nil {
			s.accepted.Add(1)
			running.Go(func() {
				defer s.remove(c)
				c.serve(ctx)
			})
			continue
		}
		if errors.Is(err, errTooManyConnections) {
			complain("tcp: refusing connections", fmt.Errorf("from %s: %w", c.origin.Peer, err))
		}
		s.refused[refusalOf(err)].Add(1)
		select {
		case refusing <- struct{}{}:
			running.Go(func() {
				defer func() { <-refusing }()
				c.turnAway(err)
			})
		default:
			_ = nc.Close()
		}
	}
}

// turnAway answers a connection that is not served, and closes it.
func (c *conn) turnAway(why error) {
	_ = c.raw.SetDeadline(time.Now().Add(hasteTime)) // the handshake of TLS, too
	c.hasten()
	if _, err := c.net.Write(appendRefusal(nil, refusalOf(why), why)); err == nil {
		c.linger(c.net)
	}
	_ = c.raw.Close()
}

// peerOf returns the IP address of a TCP peer as text: IPv4 in its usual form,
// IPv6 without the zone, which names an interface of this machine and not the
// device.
func peerOf(addr net.Addr) string {
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return addr.String()
	}
	return ap.Addr().Unmap().WithZone("").String()
}
