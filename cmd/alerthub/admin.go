package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/go-json-experiment/json"

	"alerthub/access"
	"alerthub/handlers"
	"alerthub/models"
	"alerthub/store"
)

// adminSocket is where commands on this machine reach the hub, in its data
// directory. Only the user that runs the hub may open it.
const adminSocket = "admin.sock"

// adminPatience bounds a command's question, and maxAdminAnswer its answer.
const adminPatience, maxAdminAnswer = 30 * time.Second, 16 << 20

// listenAdmin opens the socket of dir. The caller holds the lock of dir's
// database: a socket that is there already is nobody's.
func listenAdmin(ctx context.Context, dir string) (net.Listener, error) {
	path := filepath.Join(dir, adminSocket)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// adminServer answers commands on such a socket.
func adminServer(h http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: adminPatience, IdleTimeout: time.Minute,
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context { return handlers.Local(ctx) },
		ErrorLog:    slog.NewLogLogger(logger.With("room", "admin").Handler(), slog.LevelDebug),
	}
}

// adminFlags are of every command that asks the hub, or, when none runs, does
// what the hub would do.
type adminFlags struct {
	DataDir string `name:"data-dir" env:"ALERTHUB_DATA_DIR" default:"./data" placeholder:"DIR" help:"The hub's data directory. Default ${default}."`
}

// adminClient asks the hub of a data directory.
type adminClient struct {
	http *http.Client
	end  func() error
}

// client reaches the hub that runs on the data directory; when there is none,
// it is one for as long as the command lasts.
func (f *adminFlags) client(ctx context.Context) (*adminClient, error) {
	c := &adminClient{end: func() error { return nil }}
	path := filepath.Join(f.DataDir, adminSocket)
	c.http = &http.Client{Timeout: adminPatience, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}
	if conn, err := new(net.Dialer).DialContext(ctx, "unix", path); err == nil {
		return c, conn.Close()
	}
	if _, err := os.Stat(f.DataDir); err != nil {
		return nil, fmt.Errorf("there is no data directory %s: name it with --data-dir, or start the hub once", f.DataDir)
	}
	return c, c.standIn(ctx, f.DataDir)
}

// standIn opens the database and answers on the hub's socket.
func (c *adminClient) standIn(ctx context.Context, dir string) error {
	st, err := store.Open(ctx, store.Config{Dir: dir})
	if err != nil {
		return err
	}
	fail := func(err error) error { return errors.Join(err, st.Close()) }
	anonymous, err := models.ParseNetworks(cmp.Or(os.Getenv("ALERTHUB_ANONYMOUS"), ownMachine))
	if err != nil {
		return fail(fmt.Errorf("ALERTHUB_ANONYMOUS: %w", err))
	}
	who, err := access.New(ctx, st, access.Config{Anonymous: anonymous})
	if err != nil {
		return fail(err)
	}
	l, err := listenAdmin(ctx, dir)
	if err != nil {
		return fail(err)
	}
	logger := slog.New(slog.DiscardHandler)
	server := adminServer(handlers.NewAdmin(handlers.Options{Access: who, Keys: who, Senders: who, Audit: who}), logger)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	c.end = func() error {
		err := server.Close()
		if end := <-served; !errors.Is(end, http.ErrServerClosed) {
			err = errors.Join(err, end)
		}
		return errors.Join(err, st.Close())
	}
	return nil
}

// close ends the client, and the stand-in if there is one.
func (c *adminClient) close() error {
	c.http.CloseIdleConnections()
	return c.end()
}

// ask makes a request; body and into may be nil. The error holds the sentence
// of the hub where it refused.
func (c *adminClient) ask(ctx context.Context, method, path string, body, into any) error {
	var sent bytes.Buffer
	if body != nil {
		if err := json.MarshalWrite(&sent, body); err != nil {
			return err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, &sent)
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := c.http.Do(r)
	if err != nil {
		return fmt.Errorf("the hub cannot be asked: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 == 2 {
		if into == nil {
			return nil
		}
		return json.UnmarshalRead(io.LimitReader(answer.Body, maxAdminAnswer), into)
	}
	var problem struct {
		Detail string `json:"detail"`
	}
	if err := json.UnmarshalRead(io.LimitReader(answer.Body, maxAdminAnswer), &problem); err != nil || problem.Detail == "" {
		return fmt.Errorf("the hub answered %d", answer.StatusCode)
	}
	return errors.New(problem.Detail)
}

// with runs what a command asks, and ends the client whatever came of it.
func (f *adminFlags) with(ctx context.Context, do func(*adminClient) error) error {
	c, err := f.client(ctx)
	if err != nil {
		return err
	}
	return errors.Join(do(c), c.close())
}
