package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/go-json-experiment/json"

	"alerthub/wire"
)

const (
	// canaryLook is between two questions about a canary under way.
	canaryLook = time.Second
	// canaryTimeout bounds a question, and maxCanaryAnswer its answer.
	canaryTimeout, maxCanaryAnswer = 10 * time.Second, 64 << 10
)

// canaryCmd has the running hub send a canary.
type canaryCmd struct {
	Addr string `name:"addr" env:"ALERTHUB_HTTP_ADDR" default:"127.0.0.1:5080" placeholder:"HOST:PORT" help:"The hub's panel. Default ${default}."`

	tlsClient `embed:""`
	tokenFrom `embed:""`
}

// Validate tells a wrong command line before anything is sent.
func (c *canaryCmd) Validate() error {
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		return fmt.Errorf("--addr: %q is not HOST:PORT", c.Addr)
	}
	return nil
}

// run prints each stage that the canary comes to, and its outcome. The error
// says that it did not come through.
func (c *canaryCmd) run(ctx context.Context, stdout io.Writer) error {
	var sent wire.Canary
	switch status, err := c.ask(ctx, http.MethodPost, &sent); {
	case err != nil:
		return err
	case status == http.StatusNotFound:
		return errors.New("the hub sends no canaries: start it with --canary")
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return errors.New("the hub wants a key that may do this (scope admin): give it in ALERTHUB_TOKEN, or a file with --token-file")
	case status == http.StatusConflict:
		return errors.New("another canary is under way")
	case status != http.StatusAccepted:
		return fmt.Errorf("the hub answered %d", status)
	}
	out := printer{w: stdout}
	for stage := ""; ; {
		var state wire.CanaryState
		switch status, err := c.ask(ctx, http.MethodGet, &state); {
		case err != nil:
			return err
		case status != http.StatusOK || state.Last == nil:
			return fmt.Errorf("the hub answered %d without the canary", status)
		case state.Last.BegunAt != sent.BegunAt:
			return errors.New("another canary has begun since: the outcome of this one is not known")
		}
		last := state.Last
		if last.Outcome == wire.CanaryRunning && last.Stage != stage {
			stage = last.Stage
			out.line("%s ...", stage)
		}
		switch last.Outcome {
		case wire.CanaryThrough:
			out.line("came through: event %d", deref(last.EventID))
			return out.err
		case wire.CanaryFailed:
			return fmt.Errorf("the canary failed at %s: %s", last.Stage, deref(last.Detail))
		}
		select {
		case <-ctx.Done():
			return errors.New("interrupted; the canary goes on")
		case <-time.After(canaryLook):
		}
	}
}

// ask makes a request about canaries and reads what a good answer holds.
func (c *canaryCmd) ask(ctx context.Context, method string, into any) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, canaryTimeout)
	defer cancel()
	client, base, err := c.webClient(c.Addr)
	if err != nil {
		return 0, err
	}
	r, err := http.NewRequestWithContext(ctx, method, base+"/api/canary", nil)
	if err != nil {
		return 0, err
	}
	token, err := c.token(os.Getenv)
	if err != nil {
		return 0, err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := client.Do(r)
	if err != nil {
		return 0, fmt.Errorf("the hub cannot be asked: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		return answer.StatusCode, nil
	}
	return answer.StatusCode, json.UnmarshalRead(io.LimitReader(answer.Body, maxCanaryAnswer), into)
}

// deref is what p points to, or nothing.
func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
