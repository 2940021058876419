package mailer

import (
	"context"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// blackHole returns a port of 127.0.0.1 that answers no further SYN: its
// queue of one is full and nobody accepts.
func blackHole(t *testing.T) int {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	port := name.(*syscall.SockaddrInet4).Port
	for range 8 {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		cancel()
		if err != nil {
			return port
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Fatal("the queue does not fill up")
	return 0
}

func TestSend_EndsInABlackHole(t *testing.T) {
	cfg := Config{Host: "127.0.0.1", Port: blackHole(t), From: "hub@example.net", AttemptTimeout: 200 * time.Millisecond}.withDefaults()
	_, took, err := deliver(t, cfg)
	if f := asFault(t, err); !f.Server || !strings.HasPrefix(f.Words, "connect to 127.0.0.1:") || !strings.HasSuffix(f.Words, ": no answer within 200ms") {
		t.Errorf("fault %+v", f)
	}
	if took > 2*time.Second {
		t.Errorf("took %v", took)
	}
}
