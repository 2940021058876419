// Package tcpingest is the TCP door: one JSON object a line in, one answer a
// line out, in the order of the lines. It owns framing, the answers' words and
// the bounds on connections, lines, time and memory. It holds no rule of the
// domain and never acknowledges what the Service has not stored.
//
// Goroutines: Serve accepts in its caller's, and starts one that looks whether
// what connections have shown still holds; each connection has a reader and a
// replier, started by Serve and waited for by it. A client that says nothing
// costs both, and about a KiB.
package tcpingest

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"alerthub/models"
)

// Service stores what the connections read.
type Service interface {
	// Submit hands over drafts as one group and blocks while there is no room
	// for them. Its error means that none is or will be stored.
	//
	// wait returns the receipts in the order of the drafts, or an error: one
	// that models documents as "not stored", or any other for an unknown
	// outcome. The service may keep drafts until wait has told the outcome.
	Submit(ctx context.Context, drafts []models.Draft) (wait func(context.Context) ([]models.Receipt, error), err error)
}

// Caps bounds the connections of one address.
type Caps interface {
	// Enter counts a connection from an IP address; false refuses it. Each one
	// that is true is followed by a Leave.
	Enter(peer string) bool
	Leave(peer string)
}

// Access knows who may hand in events. Its methods are called concurrently,
// and all but Bearer for every read.
type Access interface {
	// Anonymous is who speaks from an IP address and has shown nothing.
	Anonymous(address string) models.Actor
	// Bearer is who holds a token; models.ErrUnauthorized.
	Bearer(ctx context.Context, token, address string) (models.Actor, error)
	// Valid reports whether what somebody has shown still holds.
	Valid(models.Actor) bool
	// AnonymousSent notes events of somebody who has shown nothing.
	AnonymousSent(address, source string, events int)
}

// Defaults of Config.
const (
	// DefaultMaxConnections serves a large site and stays far below the
	// descriptors that Linux gives a service (524,288 since systemd 240).
	DefaultMaxConnections = 10_000
	DefaultMaxLine        = 64 << 10
	// DefaultWindow lets a device that sends in bulk have one part on its way
	// to the disk while the next is decoded; 256 was stop and wait.
	DefaultWindow       = 1024
	DefaultIdleTimeout  = 10 * time.Minute
	DefaultLineTimeout  = 30 * time.Second
	DefaultWriteTimeout = 30 * time.Second
)

// Config tunes a Server. Its zero value means the defaults, but for Access,
// which is required.
type Config struct {
	Access Access
	// MaxConnections bounds the connections open at once; one more is told
	// too_many_connections and closed. A quarter of the process's file
	// descriptors, at least 64, is always left to others, so that the panel
	// and the database work when the devices take all they can.
	MaxConnections int
	// Caps bounds the connections of one address in the same way; nil does not.
	Caps Caps
	// Limit says whether a sender may report one more event, or tell one more
	// line that is none, whose draft names the sender only. Its error is the
	// line's answer. nil allows everything.
	Limit func(models.Draft) error
	// MaxLine is the longest line in bytes, without its end.
	MaxLine int
	// Window bounds the lines of a connection that are read and not answered.
	// A line counts once more for each whole KiB that it is long. When it is
	// full, the connection is not read: the client feels back-pressure.
	Window int
	// IdleTimeout closes a connection on which nothing was said for so long.
	IdleTimeout time.Duration
	// LineTimeout closes a connection on which a line has begun and does not end.
	LineTimeout time.Duration
	// WriteTimeout closes a connection that does not take its answers.
	WriteTimeout time.Duration
	// HTTPPort is named to clients that speak HTTP to this port; 0 leaves it out.
	HTTPPort int
	// TLS, if not nil, is what every connection must speak.
	TLS *tls.Config

	Logger *slog.Logger // nil discards
}

func (c Config) window() int64 { return int64(c.Window) }

// Server is the TCP door. All methods may be called concurrently.
type Server struct {
	cfg Config
	svc Service

	closing  atomic.Bool   // set once, under mu
	stopping chan struct{} // closed when closing is set
	drained  chan struct{} // closed when closing is set and no connection is open

	mu       sync.Mutex
	conns    map[*conn]struct{} // guarded by mu
	listener net.Listener       // guarded by mu
	abort    func()             // the hard end of all connections; guarded by mu

	spare    sync.Pool // of *group
	accepted atomic.Int64
	lines    atomic.Int64
	refused  [len(refusals)]atomic.Int64
}

// New makes a server; call Serve to start it.
func New(svc Service, cfg Config) *Server {
	orDefault(&cfg.MaxConnections, DefaultMaxConnections)
	orDefault(&cfg.MaxLine, DefaultMaxLine)
	orDefault(&cfg.Window, DefaultWindow)
	orDefault(&cfg.IdleTimeout, DefaultIdleTimeout)
	orDefault(&cfg.LineTimeout, DefaultLineTimeout)
	orDefault(&cfg.WriteTimeout, DefaultWriteTimeout)
	if cfg.Caps == nil {
		cfg.Caps = noCaps{}
	}
	if cfg.Limit == nil {
		cfg.Limit = func(models.Draft) error { return nil }
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if most, _ := Descriptors(); most < cfg.MaxConnections {
		cfg.Logger.Warn("tcp: fewer connections than configured, because of the limit on open files",
			"configured", cfg.MaxConnections, "connections", most)
		cfg.MaxConnections = most
	}
	return &Server{cfg: cfg, svc: svc, stopping: make(chan struct{}), drained: make(chan struct{}), conns: make(map[*conn]struct{})}
}

type noCaps struct{}

func (noCaps) Enter(string) bool { return true }
func (noCaps) Leave(string)      {}

func orDefault[T int | time.Duration](value *T, standard T) {
	if *value <= 0 {
		*value = standard
	}
}

// Serve accepts connections from ln until Shutdown, waits for the last of
// them, and returns nil. It owns ln and may be called once. The only error is
// that somebody else closed ln; shortages are waited out.
func (s *Server) Serve(ln net.Listener) error {
	ctx, abort := context.WithCancel(context.Background())
	defer abort()
	s.mu.Lock()
	s.listener, s.abort = ln, abort
	closing := s.closing.Load()
	s.mu.Unlock()
	if closing {
		return ln.Close()
	}
	var running sync.WaitGroup
	defer running.Wait()
	sweeping, stop := context.WithCancel(ctx)
	defer stop()
	running.Go(func() { s.sweep(sweeping) })
	err := s.accept(ctx, ln, &running)
	if s.closing.Load() {
		return nil
	}
	return err
}

// Shutdown stops accepting and reading, answers every line that was read, and
// closes the connections. When ctx ends first, they are closed at once and
// Shutdown returns an error that says how many, wrapping ctx's.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if !s.closing.Swap(true) {
		close(s.stopping)
		if len(s.conns) == 0 {
			close(s.drained)
		}
	}
	if s.listener != nil {
		_ = s.listener.Close()
	}
	for c := range s.conns {
		// In the past: ends the read that waits. armRead tells the next one.
		_ = c.net.SetReadDeadline(time.Unix(1, 0))
		c.hasten()
	}
	s.mu.Unlock()

	select {
	case <-s.drained:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	cut := len(s.conns)
	for c := range s.conns {
		_ = c.raw.Close()
	}
	if s.abort != nil {
		s.abort()
	}
	s.mu.Unlock()
	<-s.drained
	if cut == 0 {
		return nil
	}
	return fmt.Errorf("close %d TCP connections in order: %w", cut, context.Cause(ctx))
}

// Stats counts what a server did since it was made.
type Stats struct {
	Connections int64            // open now
	Accepted    int64            // connections served, the open ones included
	Lines       int64            // lines read that were not blank
	Refused     map[string]int64 // lines and connections refused, by the word of the answer; "http", "tls" and "tls_handshake" for clients of other ports or without a TLS in common
}

// Stats returns the counters; all words are present.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	open := len(s.conns)
	s.mu.Unlock()
	stats := Stats{
		Connections: int64(open), Accepted: s.accepted.Load(), Lines: s.lines.Load(),
		Refused: make(map[string]int64, len(refusals)),
	}
	for i := range refusals {
		stats.Refused[refusals[i].word] = s.refused[i].Load()
	}
	return stats
}

// add registers a connection, unless there are too many, in all or of its peer.
func (s *Server) add(c *conn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing.Load():
		return models.ErrClosed
	case len(s.conns) >= s.cfg.MaxConnections, !s.cfg.Caps.Enter(c.origin.Peer):
		return errTooManyConnections
	}
	s.conns[c] = struct{}{}
	return nil
}

func (s *Server) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.cfg.Caps.Leave(c.origin.Peer)
	if s.closing.Load() && len(s.conns) == 0 {
		close(s.drained)
	}
}

// group returns an empty group.
func (s *Server) group() *group {
	if g, ok := s.spare.Get().(*group); ok {
		return g
	}
	return new(group)
}

// recycle takes back a group whose drafts nobody uses any more.
func (s *Server) recycle(g *group) {
	clear(g.drafts) // lets go of the payloads
	clear(g.lines)
	*g = group{drafts: g.drafts[:0], lines: g.lines[:0], out: g.out[:0]}
	s.spare.Put(g)
}
