//go:build bench

package e2e

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// opening is how the connections of a load begin.
type opening struct {
	tls   *tls.Config // nil for plain text
	token string      // shown first; "" for nothing
}

// dial connects, and shows the token.
func (o opening) dial(addr string) (net.Conn, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	if o.tls != nil {
		conn = tls.Client(conn, o.tls)
	}
	if o.token == "" {
		return conn, nil
	}
	const welcome = `{"ok":true}` + "\n"
	answer := make([]byte, len(welcome))
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, err = fmt.Fprintf(conn, "{\"token\":%q}\n", o.token)
	if err == nil {
		_, err = io.ReadFull(conn, answer)
	}
	if err == nil && string(answer) != welcome {
		err = fmt.Errorf("the token is answered %s", answer)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// access measures what TLS and keys cost senders that do not wait. The
// load's own half of TLS is part of it, since it takes the same processors.
func (b *bench) access(t *testing.T) {
	l := makeLab(t)
	plainDir, encryptedDir := t.TempDir(), t.TempDir()
	plain := startHub(t, options{dir: plainDir, env: outboxOn(), args: []string{"--limit-key", "0"}})
	encrypted := startHub(t, options{dir: encryptedDir, env: outboxOn(), args: []string{"--limit-key", "0", "--tcp-tls-cert", l.file("cert.pem"), "--tcp-tls-key", l.file("key.pem")}})
	trust := &tls.Config{RootCAs: l.roots, ServerName: "127.0.0.1"}
	doors := []struct {
		name string
		hub  *process
		opening
	}{
		{"nothing shown, plain text", plain, opening{}},
		{"a key, plain text", plain, opening{token: makeKey(t, plainDir, "load")}},
		{"a key, TLS", encrypted, opening{tls: trust, token: makeKey(t, encryptedDir, "load")}},
	}
	rates, costs := make([]sample, len(doors)), make([]sample, len(doors))
	for round := range accessRounds {
		for i := range doors {
			i = (i + round) % len(doors) // who goes first changes
			load := pipelined(16)
			load.opening = doors[i].opening
			before := doors[i].hub.cpuTime(t)
			r := load.must(t, doors[i].hub.TCP)
			rates[i].add(r.rate())
			costs[i].add(float64((doors[i].hub.cpuTime(t) - before).Nanoseconds()) / 1000 / float64(r.stored))
		}
	}
	const group = "TCP, pipelined, 16 connections"
	for i, d := range doors[1:] {
		b.against(group, d.name, "events/s", rates[i+1], doors[0].name, rates[0])
		b.against(group, d.name+", the hub's CPU an event", "us", costs[i+1], doors[0].name, costs[0])
	}
	b.atLeast("access", "16 pipelined connections, TLS and keys / neither", rates[2].per(rates[0]).median(), 0.85, "x")
	plain.Stop(10 * time.Second)
	encrypted.Stop(10 * time.Second)
}

// accessRounds is odd, and so many because the bar is near.
const accessRounds = 9
