package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"alerthub/access"
	"alerthub/hub"
	"alerthub/limits"
	"alerthub/live"
	"alerthub/models"
	"alerthub/notify"
	"alerthub/query"
	"alerthub/search"
	"alerthub/store"
	"alerthub/tcpingest"
	"alerthub/transfer"
	"alerthub/watch"
)

// stopTimeout bounds an orderly stop: all of it, not each step.
const stopTimeout = 9 * time.Second

// doorsTimeout is the part of it that senders get to take their last answers.
const doorsTimeout = 5 * time.Second

// App is the assembled hub. It is the only code that knows more than one
// adapter. New opens the database and the listeners, Start serves, Stop ends
// everything in the reverse order of its making.
type App struct {
	settings Settings
	logger   *slog.Logger

	store    *store.Store
	access   *access.Service
	index    *search.Index
	live     *live.Live
	notify   *notify.Service
	hub      *hub.Hub
	transfer *transfer.Transfer
	ingest   *tcpingest.Server
	watch    *watch.Watch
	limits   *limits.Limits
	metrics  *metrics

	httpListener, tcpListener, feedListener net.Listener
	webCert, tcpCert                        certificate // nil without encryption

	stops   []stopStep // made last, stopped first
	doors   []stopStep // stopped together, before all others
	running sync.WaitGroup
	failed  chan error
}

// stopStep ends one part of the hub within its context.
type stopStep struct {
	name string
	stop func(context.Context) error
}

// Addrs are the bound addresses, host:port.
type Addrs struct{ HTTP, TCP, Feed string }

// New opens the database and binds the listeners, so that all that can be
// wrong with either is told before anything is served. On an error nothing
// stays open.
func New(ctx context.Context, s Settings, logger *slog.Logger) (_ *App, err error) {
	a := &App{settings: s, logger: logger, failed: make(chan error, 8)}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Stop(context.WithoutCancel(ctx)))
		}
	}()
	if err := a.loadCertificates(); err != nil {
		return nil, err
	}
	a.store, err = store.Open(ctx, store.Config{Dir: s.DataDir, Logger: logger.With("room", "store")})
	if err != nil {
		return nil, err
	}
	a.onStop("store", func(context.Context) error { return a.store.Close() })
	a.access, err = access.New(ctx, a.store, s.accessConfig(logger.With("room", "access")))
	if err != nil {
		return nil, err
	}
	for _, l := range []struct {
		to         *net.Listener
		name, addr string
	}{
		{&a.httpListener, "panel", s.HTTPAddr},
		{&a.tcpListener, "TCP ingest", s.TCPAddr},
		{&a.feedListener, "feed", s.FeedAddr},
	} {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", l.addr)
		if err != nil {
			return nil, fmt.Errorf("the %s cannot listen: %w", l.name, err)
		}
		*l.to = listener
		a.onStop(l.name+" listener", func(context.Context) error {
			if err := listener.Close(); !errors.Is(err, net.ErrClosed) {
				return err
			}
			return nil // its server closed it already
		})
	}
	if err := a.checkOpen(); err != nil {
		return nil, err
	}
	if err := a.assemble(); err != nil {
		return nil, err
	}
	return a, nil
}

// assemble makes the rooms and tells them of each other.
func (a *App) assemble() (err error) {
	s := a.settings
	a.metrics = newMetrics()
	a.index = search.New(search.Config{Dir: s.DataDir, Logger: a.logger.With("room", "search")}, a.store)
	a.live = live.New(live.Config{Build: build(), Ingest: a.ingestData, Logger: a.logger.With("room", "live")})
	a.notify = notify.New(outbox{a.store, a.live}, notify.Config{
		Routes: s.ways(), Contact: s.contact,
		RetryMin: s.SMTP.RetryMin, RetryMax: s.SMTP.RetryMax, MaxAge: s.SMTP.MaxAge,
		PauseMin: min(s.SMTP.RetryMin, 5*time.Second), PauseMax: min(s.SMTP.RetryMax, 5*time.Minute),
		Failed: func(alert models.EmailAlert) { a.watch.Failed(alert) },
		Logger: a.logger.With("room", "notify"),
	})
	rule := a.escalation()
	a.hub = hub.New(a.store, a.live, a.notify, hub.Config{
		Escalation: func(d models.Draft) []models.NewAlert { return a.watch.Escalate(d, rule) },
		Index:      a.index,
		Matcher:    func(f models.EventFilter) func(*models.Event) bool { return query.Compile(f).Match },
		Observe: func(events int, took time.Duration) {
			a.metrics.committed(events, took)
			a.index.Wake()
		},
		Logger: a.logger.With("room", "hub"),
	})
	if a.watch, err = a.newWatch(); err != nil {
		return err
	}
	a.limits = a.newLimits()
	a.ingest = tcpingest.New(a.hub, tcpingest.Config{
		MaxConnections: s.TCPMaxConnections, MaxLine: s.TCPMaxLine, IdleTimeout: s.TCPIdleTimeout, HTTPPort: port(a.httpListener),
		Caps: limits.NewConnections(limits.Caps{PerAddress: s.Limits.TCPPerAddress, Shared: s.Limits.Shared}), Limit: a.limits.Take,
		TLS:    serverTLS(a.tcpCert),
		Access: a.access,
		Logger: a.logger.With("room", "tcpingest"),
	})
	a.transfer, err = transfer.New(a.hub, a.store, transfer.Config{
		Dir: s.DataDir, Imported: a.index.AddBelow, Changed: a.historyChanged, Logger: a.logger.With("room", "transfer"),
	})
	a.metrics.observe(a)
	return err
}

// historyChanged has the open panels drawn anew after an import.
func (a *App) historyChanged() {
	stats, err := a.store.Stats(context.Background())
	if err != nil {
		a.logger.Warn("panels not told of an import", "error", err)
		return
	}
	a.live.EventsImported(stats.LastEventID)
	a.index.Wake()
}

// Start starts every goroutine of the hub and returns once all doors are open.
func (a *App) Start() {
	a.onStop("search index", func(context.Context) error { return a.index.Close() })
	a.background("access", a.access.Run, nil)
	a.background("search", func(ctx context.Context) error { a.index.Run(ctx); return nil }, nil)
	a.background("live", func(ctx context.Context) error { return a.live.Run(ctx, a.hub) }, a.live.Close)
	a.background("notify", a.notify.Run, nil)
	a.background("transfer", a.transfer.Run, nil)
	a.background("committer", a.hub.Run, func(context.Context) error { a.hub.Close(); return nil })

	a.openDoors()
	a.getCertificate()
	a.background("watch", a.watch.Run, nil) // it ends before the doors that it uses

	addrs := a.Addrs()
	a.logger.Info("ready", "http", addrs.HTTP, "tcp", addrs.TCP, "feed", addrs.Feed, "panel", a.panelURL(), "tcp_tls", a.tcpCert != nil)
}

// panelURL is the panel's address on this machine.
func (a *App) panelURL() string {
	if a.webCert != nil {
		return "https://" + a.Addrs().HTTP
	}
	return "http://" + a.Addrs().HTTP
}

// Addrs returns what was bound, so that port 0 can be used.
func (a *App) Addrs() Addrs {
	return Addrs{HTTP: a.httpListener.Addr().String(), TCP: a.tcpListener.Addr().String(), Feed: a.feedListener.Addr().String()}
}

// Failed delivers the error of a part that ended by itself.
func (a *App) Failed() <-chan error { return a.failed }

// Stop ends all that was made or started, last first, every step whatever the
// others said, within stopTimeout in all. It may be called once.
func (a *App) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	var errs []error
	for i := len(a.stops) - 1; i >= 0; i-- {
		if err := a.stops[i].stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", a.stops[i].name, err))
		}
	}
	ended := make(chan struct{})
	go func() {
		a.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		a.logger.Info("stopped")
	case <-ctx.Done():
		errs = append(errs, fmt.Errorf("not everything ended within %v", stopTimeout))
	}
	return errors.Join(errs...)
}

func (a *App) onStop(name string, stop func(context.Context) error) {
	a.stops = append(a.stops, stopStep{name, stop})
}

// background runs a room's goroutine until it is stopped: by end, if given,
// and by cancelling its context after that.
func (a *App) background(name string, run, end func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	a.running.Go(func() {
		defer close(done)
		if err := run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			a.failed <- fmt.Errorf("%s: %w", name, err)
		}
	})
	a.onStop(name, func(stopping context.Context) error {
		var err error
		if end != nil {
			err = end(stopping)
		}
		cancel()
		select {
		case <-done:
			return err
		case <-stopping.Done():
			return errors.Join(err, stopping.Err())
		}
	})
}

// serve runs a door until shutdown makes it return.
func (a *App) serve(name string, serve func() error, shutdown func(context.Context) error) {
	a.running.Go(func() {
		if err := serve(); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			a.failed <- fmt.Errorf("%s: %w", name, err)
		}
	})
	a.doors = append(a.doors, stopStep{name, shutdown})
}

// closeDoors stops accepting everywhere at once and answers what is in flight.
func (a *App) closeDoors(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, doorsTimeout)
	defer cancel()
	errs := make([]error, len(a.doors))
	var closing sync.WaitGroup
	for i, door := range a.doors {
		closing.Go(func() {
			if err := door.stop(ctx); err != nil {
				errs[i] = fmt.Errorf("%s: %w", door.name, err)
			}
		})
	}
	closing.Wait()
	return errors.Join(errs...)
}
