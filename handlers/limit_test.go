package handlers

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestLimitBody_AnswerIsReadBeforeTheEnd sends as clients do that keep no
// connection: such a body is not drained, and a reset must not overtake the answer.
func TestLimitBody_AnswerIsReadBeforeTheEnd(t *testing.T) {
	server := serve(t, &fakeService{})
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const size = 4 << 20
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: hub\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", pathEvents, size)
	chunk := strings.Repeat(" ", 16<<10)
	for sent := 0; sent < 512<<10; sent += len(chunk) {
		time.Sleep(time.Millisecond) // a sender on a slow line
		if _, err := io.WriteString(conn, chunk); err != nil {
			t.Fatalf("reset after %d bytes: %v", sent, err)
		}
	}
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d, want 413", res.StatusCode)
	}
}
