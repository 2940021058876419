package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// floodAddress is a device of its own to the hub, which takes 127.0.0.1 for an
// address that many senders share.
const floodAddress = "127.0.0.2"

// dialFrom connects from one of this machine's addresses.
func dialFrom(t testing.TB, from, addr string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}).Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// flood is connections that send without end and read their answers.
type flood struct {
	stored, refused atomic.Int64
	conns           []net.Conn
	running         sync.WaitGroup
}

// floodLines are 64 events of one source.
var floodLines = bytes.Repeat([]byte(`{"source":"flood","severity":"warning","message":"Interface GigabitEthernet1/0/7 changed state to down"}`+"\n"), 64)

func startFlood(t testing.TB, addr string, connections int) *flood {
	t.Helper()
	f := &flood{}
	for range connections {
		conn := dialFrom(t, floodAddress, addr)
		f.conns = append(f.conns, conn)
		f.running.Go(func() {
			for {
				if _, err := conn.Write(floodLines); err != nil {
					return
				}
			}
		})
		f.running.Go(func() { _, _ = io.Copy(f, conn) })
	}
	return f
}

// Write counts answers; what a read cuts in two is not missed in thousands.
func (f *flood) Write(answers []byte) (int, error) {
	f.stored.Add(int64(bytes.Count(answers, []byte(`"ok":true`))))
	f.refused.Add(int64(bytes.Count(answers, []byte(`"rate_limited","retry_ms":`))))
	return len(answers), nil
}

// stop ends the connections.
func (f *flood) stop() {
	for _, conn := range f.conns {
		conn.Close()
	}
	f.running.Wait()
}

// TestLimits_Events: a device that floods is refused, in place, and goes on
// once it is slower; one beside it is never refused.
func TestLimits_Events(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{args: []string{"--limit-source", "200/300", "--limit-peer", "400/1000"}})
	conn := dialFrom(t, floodAddress, p.TCP)
	loud := &device{t: t, conn: conn, in: bufio.NewReader(conn)}
	loud.Send(strings.TrimSuffix(strings.Repeat(`{"source":"loud"}`+"\n", 400), "\n"))
	stored, refused := 0, 0
	for i := range 400 {
		switch a := loud.Answer(); {
		case a.OK:
			stored++
		case a.Error == "rate_limited" && a.RetryMS > 0 && i >= 300:
			refused++
		default:
			t.Fatalf("line %d is answered %+v", i, a)
		}
	}
	if refused == 0 {
		t.Errorf("%d of 400 at once are stored, want 300 and what the time brought", stored)
	}
	eventually(t, 10*time.Second, func() error {
		if a := loud.Ask(`{"source":"loud"}`); !a.OK {
			return fmt.Errorf("the connection goes on with %+v", a)
		}
		return nil
	})

	f := startFlood(t, p.TCP, 2)
	eventually(t, 10*time.Second, func() error {
		if n := f.refused.Load(); n < 500 {
			return fmt.Errorf("%d lines of the flood are refused", n)
		}
		return nil
	})
	quiet := dialDevice(t, p)
	for i := range 100 {
		if a := quiet.Ask(fmt.Sprintf(`{"source":"quiet","message":"%d"}`, i)); !a.OK {
			t.Fatalf("the quiet device is answered %+v", a)
		}
	}
	f.stop()
	if n := f.stored.Load(); n < 300 || n > 300+200*20 {
		t.Errorf("%d events of the flood are stored", n)
	}

	// The other door knows the same limits, and tells them.
	var problem struct {
		Error   string `json:"error"`
		RetryMS int64  `json:"retry_ms"`
	}
	batch := "[" + strings.TrimSuffix(strings.Repeat(`{"source":"http"},`, 700), ",") + "]"
	p.postJSON("/api/events", batch, nil)
	if status := p.postJSON("/api/events", batch, &problem); status != http.StatusOK && (status != http.StatusTooManyRequests || problem.Error != "rate_limited" || problem.RetryMS < 1) {
		t.Errorf("too many over HTTP: %d %+v", status, problem)
	}
	var config struct {
		Limits map[string]any `json:"limits"`
	}
	p.getJSON("/api/config", &config)
	if diff := cmp.Diff(map[string]any{"events_per_second": 200.0, "burst": 300.0}, config.Limits["source"]); diff != "" {
		t.Errorf("the limit of a source (-want +got):\n%s", diff)
	}
	if metrics := p.text("/metrics"); !strings.Contains(metrics, `alerthub_rate_limited_total{limit="source"} `) || strings.Contains(metrics, `alerthub_rate_limited_total{limit="source"} 0`) {
		t.Error("the metrics count no refusal")
	}
	if audit := p.text("/audit"); !strings.Contains(audit, ">200/s<") {
		t.Error("the audit tab does not tell the limit of a source")
	}
}

// TestLimits_Key: what is reported with one key counts together, on whatever
// connection and with whatever source, and not for those without it.
func TestLimits_Key(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := startHub(t, options{dir: dir, args: []string{"--limit-key", "1/20", "--limit-source", "0"}})
	key := makeKey(t, dir, "relay")
	stored, limited := 0, 0
	for range 2 {
		relay := dialDevice(t, p)
		if a := relay.show(key); !a.OK {
			t.Fatalf("the key: %+v", a)
		}
		for i := range 30 {
			switch a := relay.Ask(fmt.Sprintf(`{"source":"sw-%d"}`, i)); {
			case a.OK:
				stored++
			case a.Error == "rate_limited" && a.RetryMS > 0:
				limited++
			default:
				t.Fatalf("answered %+v", a)
			}
		}
	}
	if stored < 20 || limited < 30 {
		t.Errorf("%d events with the key are stored and %d refused, want 20 and what the time brought", stored, limited)
	}
	if a := dialDevice(t, p).Ask(`{"source":"sw-1"}`); !a.OK {
		t.Errorf("a device without the key: %+v", a)
	}
}

// text is the body of GET path.
func (p *process) text(path string) string {
	p.t.Helper()
	res, err := httpClient.Get(p.URL(path))
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(body)
}

// TestLimits_Connections: an address that takes all it may is told so at every
// door, and others are served.
func TestLimits_Connections(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{args: []string{
		"--tcp-max-connections-per-address=2", "--http-max-connections-per-address=3", "--insecure-open", "--anonymous=0.0.0.0/0", "--trusted-proxies", "127.0.0.3",
	}})
	from := floodAddress
	talk := func(addr, say string) string {
		t.Helper()
		conn := dialFrom(t, from, addr)
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.WriteString(conn, say); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		return strings.TrimSpace(line)
	}
	for i, want := range []string{`{"ok":true,"event_id":1}`, `{"ok":true,"event_id":2}`, `{"ok":false,"error":"too_many_connections"}`} {
		if got := talk(p.TCP, "{}\n"); got != want {
			t.Errorf("connection %d is answered %q, want %q", i+1, got, want)
		}
	}
	// Panel, API and feed share their cap.
	for i, door := range []string{p.HTTP, p.Feed, p.HTTP, p.Feed, p.HTTP} {
		want := "HTTP/1.1 200 OK"
		if i >= 3 {
			want = "HTTP/1.1 503 Service Unavailable"
		}
		path := "/healthz"
		if door == p.Feed {
			want = strings.Replace(want, "200 OK", "426 Upgrade Required", 1)
			path = "/"
		}
		if got := talk(door, "GET "+path+" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"); got != want {
			t.Errorf("connection %d to %s is answered %q, want %q", i+1, door, got, want)
		}
	}
	serves(t, p, 5*time.Second)

	// The connections of a proxy are those of other people, whose address counts.
	from = "127.0.0.3"
	for i := range 5 {
		ask := fmt.Sprintf("POST /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: 10.9.8.7, 192.0.2.%d\r\nContent-Length: 2\r\n\r\n{}", i)
		if got := talk(p.HTTP, ask); got != "HTTP/1.1 201 Created" {
			t.Errorf("connection %d of the proxy is answered %q", i+1, got)
		}
	}
	var page struct {
		Events []struct{ Source string }
	}
	if p.getJSON("/api/events?limit=1", &page); len(page.Events) != 1 || page.Events[0].Source != "192.0.2.4" {
		t.Errorf("the source of an event by the proxy is %+v", page.Events)
	}
}
