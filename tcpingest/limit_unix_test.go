//go:build unix

package tcpingest

import (
	"context"
	"net"
	"syscall"
	"testing"
)

func TestNew_LeavesDescriptorsToOthers(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	few := limit
	few.Cur = 128
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	if got := New(&fakeService{}, Config{}).cfg.MaxConnections; got != 64 {
		t.Errorf("%d connections with 128 descriptors, want 64", got)
	}
	if got := New(&fakeService{}, Config{MaxConnections: 10}).cfg.MaxConnections; got != 10 {
		t.Errorf("%d connections with 128 descriptors and 10 configured", got)
	}
}

// keepingListener remembers the server's end of a connection.
type keepingListener struct {
	net.Listener
	conns chan net.Conn
}

func (l *keepingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.conns <- c
	}
	return c, err
}

func TestServer_SetsSocketOptions(t *testing.T) {
	listening := net.ListenConfig{KeepAlive: -1} // off, unless the server asks for it
	ln, err := listening.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	kept := &keepingListener{ln, make(chan net.Conn, 1)}
	startOn(t, kept, &fakeService{}, Config{})
	c := dial(t, ln.Addr().String())
	c.send("{}\n")
	c.expect(`{"ok":true,"event_id":1}`)
	raw, err := (<-kept.conns).(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	option := func(name int) (value int) {
		t.Helper()
		var optErr error
		if err := raw.Control(func(fd uintptr) {
			value, optErr = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, name)
		}); err != nil || optErr != nil {
			t.Fatal(err, optErr)
		}
		return value
	}
	if option(syscall.SO_KEEPALIVE) == 0 {
		t.Error("SO_KEEPALIVE is off")
	}
	// The kernel doubles what it is told, for its own records (socket(7)).
	if size := option(syscall.SO_SNDBUF); size < sendBuffer || size > 2*sendBuffer {
		t.Errorf("SO_SNDBUF is %d, want it bounded", size)
	}
}
