package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"alerthub/handlers"
	"alerthub/limits"
)

// openDoors starts what listens: the feed, the panel, the TCP ingest.
func (a *App) openDoors() {
	s := a.settings
	machine, err := os.Hostname()
	if err != nil {
		a.logger.Warn("the machine's name is unknown, and requests that name it are refused", "error", err)
	}
	web := handlers.Options{
		Service: a.hub, Sockets: a.live, Transfer: a.transfer, Access: a.access, Keys: a.access, Senders: a.access, Canaries: a.watch, Audit: a.access, Metrics: a.metrics.handler(), Ingest: a.ingestData, Why: s.why,
		Limit: a.limits.Take, Crowded: limits.Crowded,
		Proxies: s.TrustedProxies, Hosts: s.hosts(machine), Logger: a.logger.With("room", "http"),
		Info: handlers.Info{
			HTTPPort: port(a.httpListener), TCPPort: port(a.tcpListener), FeedPort: port(a.feedListener), TCPTLS: a.tcpCert != nil,
			SMTPConfigured: len(s.SMTP.Missing()) == 0, SMTPMissing: s.SMTP.Missing(),
			Recipients: s.SMTP.recipients(), Routed: s.SMTP.Routes != nil, Contacts: a.contacts(), Version: version,
			Limits: a.intakeLimits(),
		},
	}
	a.onStop("doors", a.closeDoors)
	caps := a.webCaps()
	a.serveHTTP("feed", limits.Listen(a.feedListener, caps), handlers.NewFeed(web))
	a.serveHTTP("panel", limits.Listen(a.httpListener, caps), handlers.New(web))
	a.serveAdmin(handlers.NewAdmin(web))
	a.serve("TCP ingest", func() error { return a.ingest.Serve(a.tcpListener) }, a.ingest.Shutdown)
}

// answerTime is how long a client has to take an answer; exports and imports
// set limits of their own, and websockets have theirs.
const answerTime = time.Minute

// webServer serves h to clients that may be slow, absent-minded or hostile.
func webServer(h http.Handler, logger *slog.Logger) *http.Server {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      answerTime,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ConnContext:       limits.Mark,
		Protocols:         new(http.Protocols),
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),

		DisableGeneralOptionsHandler: true, // it would answer OPTIONS * before any check
	}
	server.Protocols.SetHTTP1(true) // websockets need it, and HTTP/2 would be a second way to the same pages
	return server
}

func (a *App) serveHTTP(name string, l net.Listener, h http.Handler) {
	server := webServer(h, a.logger.With("room", "http"))
	server.TLSConfig = serverTLS(a.webCert)
	serve := func() error { return server.Serve(l) }
	if a.webCert != nil {
		serve = func() error { return server.ServeTLS(l, "", "") }
	}
	a.serve(name, serve, func(ctx context.Context) error {
		err := server.Shutdown(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			// Who does not end a request is cut; the stop is in order all the same.
			a.logger.Warn("cut requests that did not end", "door", name)
			err = server.Close()
		}
		return err
	})
}

// serveAdmin answers commands on this machine. Without its socket the hub does
// what it is there for all the same.
func (a *App) serveAdmin(h http.Handler) {
	l, err := listenAdmin(context.Background(), a.settings.DataDir)
	if err != nil {
		a.logger.Error("no commands can be answered while the hub runs", "error", err)
		return
	}
	server := adminServer(h, a.logger)
	a.serve("commands", func() error { return server.Serve(l) }, func(context.Context) error { return server.Close() })
}

func port(l net.Listener) int {
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0
	}
	return addr.Port
}
