package limits

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
)

// Connections that are one too many are let in to be told so, a quarter as many
// as are served and within these bounds; more are closed without a word.
const (
	minTelling = 4
	maxTelling = 32
)

// listener counts the connections of a net/http server.
type listener struct {
	net.Listener
	caps    *Connections
	telling *Connections
}

// Listen bounds the connections that ln accepts by caps, which other listeners
// may share. A server over it must set its ConnContext to Mark, and must do no
// more for a request that is Crowded than say so and close the connection.
func Listen(ln net.Listener, caps *Connections) net.Listener {
	telling := min(max(caps.caps.Total/4, minTelling), maxTelling)
	return &listener{ln, caps, NewConnections(Caps{Total: telling})}
}

// Accept waits for a connection that is to be served or told.
func (l *listener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		tcp, ok := nc.(*net.TCPConn)
		if err != nil || !ok {
			return nc, err
		}
		peer := tcp.RemoteAddr().(*net.TCPAddr).IP.String()
		for _, caps := range []*Connections{l.caps, l.telling} {
			if caps.Enter(peer) {
				return &conn{TCPConn: tcp, crowded: caps == l.telling, leave: sync.OnceFunc(func() { caps.Leave(peer) })}, nil
			}
		}
		_ = tcp.Close()
	}
}

// conn is a counted connection. It is a *net.TCPConn and not any net.Conn,
// because net/http closes one side of those that can.
type conn struct {
	*net.TCPConn
	crowded bool
	leave   func()
}

// Close closes the connection and takes it out of the count.
func (c *conn) Close() error {
	c.leave()
	return c.TCPConn.Close()
}

type crowdedKey struct{}

// Mark is the ConnContext of a server on a listener by Listen.
func Mark(ctx context.Context, nc net.Conn) context.Context {
	if encrypted, ok := nc.(*tls.Conn); ok {
		nc = encrypted.NetConn()
	}
	if c, ok := nc.(*conn); ok && c.crowded {
		return context.WithValue(ctx, crowdedKey{}, true)
	}
	return ctx
}

// Crowded reports whether a request came by a connection that was one too many.
func Crowded(ctx context.Context) bool { return ctx.Value(crowdedKey{}) != nil }
