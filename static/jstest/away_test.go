package jstest

import (
	"net"
	"net/http"
	"testing"
	"time"
)

// After a long time away the page is back as soon as after a short one:
// browsers hold sockets back, for seconds, once many have failed.
func TestReconnect_afterLong(t *testing.T) {
	t.Parallel()
	h := newHub(t, evs(9, 1)...)
	b := h.live("/events")
	address := h.Listener.Addr().String()
	b.Expects("ERR_CONNECTION_REFUSED")
	h.Listener.Close()
	h.CloseClientConnections()
	h.End(1006)
	b.Becomes("offline")
	b.Until(`Number(document.getElementById('offline-retry').textContent.match(/\d+/g)[1]) > 30`)
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: h}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener) // ends when it is closed
	}()
	t.Cleanup(func() {
		server.Close()
		<-served
	})
	began := time.Now()
	b.Becomes("live")
	t.Logf("live after %v", time.Since(began))
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
	b.Same()
}
