package tcpingest

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"alerthub/models"
	"alerthub/wire"
)

const (
	// groupsAhead bounds the groups that wait for their turn to be answered.
	// When they do, the reader waits too.
	groupsAhead = 16
	// lingerTime is how long the rest of what a client sends is read and
	// dropped before the connection is closed: closing a socket with unread
	// bytes resets it, and the answers on their way would be lost.
	lingerTime = time.Second
	// hasteTime replaces Config.WriteTimeout while the server shuts down.
	hasteTime = 2 * time.Second
)

// conn is one connection: a reader that submits the lines of each read as one
// group, and a replier that answers the groups in their order.
type conn struct {
	srv    *Server
	raw    net.Conn // the socket
	net    net.Conn // what is said on it: raw itself, or TLS over it
	peek   *peeked  // between the two with TLS, else nil
	origin wire.Origin

	groups   chan *group // from the reader to the replier
	inFlight atomic.Int64
	freed    chan struct{} // the replier lowered inFlight; holds one token

	// Owned by the reader.
	framer  framer
	opening bool // the first bytes did not tell yet whether this is the right port
	met     time.Time
	began   time.Time     // when the line began that has not ended; zero for none
	pause   time.Duration // before the next read
	standing
}

// group is the lines of one read, or as many of them as fit into the window.
type group struct {
	drafts []models.Draft
	lines  []error // one a line, in order: why it is refused, nil for the next draft
	cost   int64   // of the window

	wait func(context.Context) ([]models.Receipt, error) // nil unless drafts were submitted
	err  error                                           // why the drafts were not submitted
	out  []byte                                          // the answers
}

func (s *Server) newConn(nc net.Conn) *conn {
	c := &conn{
		srv: s, raw: nc, net: nc,
		origin:  wire.Origin{Channel: models.ChannelTCP, Peer: peerOf(nc.RemoteAddr())},
		groups:  make(chan *group, groupsAhead),
		freed:   make(chan struct{}, 1),
		framer:  framer{max: s.cfg.MaxLine},
		opening: true,
		met:     time.Now(),
	}
	c.greeting = true
	c.admit(s.cfg.Access.Anonymous(c.origin.Peer))
	if s.cfg.TLS != nil {
		c.secure(s.cfg.TLS)
	}
	return c
}

// serve is the reader's goroutine. It returns when the connection is closed
// and its replier has ended. The end of ctx is the hard end: nothing more is
// answered then.
func (c *conn) serve(ctx context.Context) {
	if c.peek != nil && !c.encrypt(ctx) {
		_ = c.raw.Close()
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	replied := make(chan struct{})
	go func() {
		defer close(replied)
		if !c.reply(ctx) {
			// Nobody will hear another answer: the reader ends too.
			cancel()
			_ = c.raw.Close() // TLS would wait to say goodbye
		}
	}()
	unread := c.read(ctx)
	close(c.groups)
	<-replied
	if unread && ctx.Err() == nil {
		c.linger(c.net)
	}
	_ = c.net.Close()
}

// read reads until the client is done, too slow, wrong here or unheard, or the
// server shuts down. It reports whether the client may still be sending.
func (c *conn) read(ctx context.Context) (unread bool) {
	for {
		if !c.armRead() {
			return true
		}
		n, err := c.net.Read(c.framer.space())
		c.framer.filled(n)
		if n > 0 {
			if c.opening {
				var why error
				if c.opening, why = foreign(c.framer.pending()); why != nil {
					c.refuseForeign(why)
					return true
				}
			}
			if !c.take(ctx, c.framer.next) || !c.rest(ctx) {
				return true
			}
			c.framer.shrink(n)
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			c.take(ctx, c.framer.last)
			return false
		default:
			// The idle or the line timeout, a reset, the server's shutdown, or the
			// end of what the client has shown.
			return c.srv.closing.Load() || c.expelled.Load()
		}
	}
}

// armRead sets the deadline of the next read: a connection may be silent for
// long, but a line that has begun must end soon, and who may say nothing must
// show a token soon. False means that the server shuts down.
func (c *conn) armRead() bool {
	now := time.Now()
	deadline := now.Add(c.srv.cfg.IdleTimeout)
	if len(c.framer.pending()) == 0 && !c.framer.skipping {
		c.began = time.Time{}
	} else {
		if c.began.IsZero() {
			c.began = now
		}
		deadline = c.began.Add(c.srv.cfg.LineTimeout)
	}
	if !c.may {
		deadline = c.met.Add(c.srv.cfg.LineTimeout)
	}
	// Fails only on a closed connection, which the read will tell.
	_ = c.net.SetReadDeadline(deadline)
	// Shutdown sets closing before it sets a deadline of its own, and so does
	// the sweep with expelled: it is either seen here or ends the read.
	return !c.srv.closing.Load() && !c.expelled.Load()
}

// take submits the lines that next returns, one group if the window has room
// for it. False means that the connection ends.
func (c *conn) take(ctx context.Context, next func() ([]byte, bool, bool)) bool {
	g := c.srv.group()
	c.look()
	for !c.over() {
		line, tooLong, ok := next()
		if !ok {
			break
		}
		c.began = time.Time{} // what is left over belongs to another line
		cost := c.cost(line)
		if c.inFlight.Load()+g.cost+cost > c.srv.cfg.window() {
			if !c.submit(ctx, g) || !c.waitForRoom(ctx, cost) {
				return false
			}
			g = c.srv.group()
			c.look()
		}
		g.cost += cost
		draft, err := c.hear(ctx, line, tooLong)
		if err == nil {
			g.drafts = append(g.drafts, draft)
		}
		g.lines = append(g.lines, err)
	}
	return c.submit(ctx, g) && !c.over()
}

// rest keeps a flood waiting. False means that the connection ends.
func (c *conn) rest(ctx context.Context) bool {
	if c.pause == 0 {
		return true
	}
	over := time.NewTimer(c.pause)
	defer over.Stop()
	c.pause = 0
	select {
	case <-over.C:
		return true
	case <-c.srv.stopping:
	case <-ctx.Done():
	}
	return false
}

// cost is how much of the window a line takes: one, and one more for each
// whole KiB, so that the bytes in flight are bounded too.
func (c *conn) cost(line []byte) int64 {
	return min(1+int64(len(line)>>10), c.srv.cfg.window())
}

// waitForRoom waits until the replier has made room for a line of that cost.
func (c *conn) waitForRoom(ctx context.Context, cost int64) bool {
	for c.inFlight.Load()+cost > c.srv.cfg.window() {
		select {
		case <-c.freed:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// submit hands g to the service and to the replier. It blocks while the
// service's queue is full, and with it the client, once the socket is full.
func (c *conn) submit(ctx context.Context, g *group) bool {
	if len(g.lines) == 0 {
		c.srv.recycle(g)
		return true
	}
	c.srv.lines.Add(int64(len(g.lines)))
	if len(g.drafts) > 0 {
		if c.origin.Sender.Kind == models.ActorNobody {
			c.srv.cfg.Access.AnonymousSent(c.origin.Peer, g.drafts[len(g.drafts)-1].Source, len(g.drafts))
		}
		g.wait, g.err = c.srv.svc.Submit(ctx, g.drafts)
	}
	c.inFlight.Add(g.cost)
	select {
	case c.groups <- g:
		return true
	case <-ctx.Done():
		return false
	}
}

// refuseForeign answers a client that took this port for another one.
func (c *conn) refuseForeign(why error) {
	c.srv.refused[refusalOf(why)].Add(1)
	answer := []byte(tlsAnswer)
	if errors.Is(why, errHTTP) {
		answer = httpAnswer(c.srv.cfg.HTTPPort)
	}
	c.armWrite()
	// Who hangs up on the explanation needs none.
	_, _ = c.net.Write(answer)
}

// linger tells the client that no answer follows, and drops what it still
// sends until it closes its side or lingerTime is over.
func (c *conn) linger(on net.Conn) {
	if half, ok := on.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // on a broken connection the read below fails too
	}
	_ = on.SetReadDeadline(time.Now().Add(lingerTime))
	buf := slices.Grow(c.framer.buf[:0], smallBuffer)[:smallBuffer]
	for {
		if _, err := on.Read(buf); err != nil {
			return
		}
	}
}
