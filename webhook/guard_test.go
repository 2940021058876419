package webhook

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"alerthub/models"
)

func TestGuard_Addresses(t *testing.T) {
	public := []string{
		"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
		"169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.0.3.0", "192.88.98.255", "192.88.100.0",
		"192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "198.51.99.255", "198.51.101.0", "203.0.112.255",
		"203.0.114.0", "223.255.255.255", "::ffff:8.8.8.8", "2001:200::1", "2001:4860:4860::8888", "2a00:1450::1", "2003::", "2001:db7::", "2001:db9::",
		"3ffe::1", "3fff:1000::", "64:ff9b::8.8.8.8",
	}
	private := []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.1", "127.255.255.255",
		"169.254.0.0", "169.254.169.254", "172.16.0.0", "172.31.255.255", "192.0.0.0", "192.0.0.255", "192.0.2.1", "192.88.99.1",
		"192.168.0.0", "192.168.255.255", "198.18.0.0", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255",
		"240.0.0.1", "255.255.255.255",
		"::", "::1", "::ffff:127.0.0.1", "::ffff:10.1.2.3", "::127.0.0.1", "::8.8.8.8", "64:ff9b::10.0.0.1", "64:ff9b::127.0.0.1",
		"64:ff9b::169.254.169.254", "64:ff9b:1::8.8.8.8", "100::1", "2001::1", "2001:2::1", "2001:1ff:ffff::", "2001:db8::1",
		"2002:0a00:0001::1", "2002:0808:0808::1", "3fff::1", "3fff:fff::1", "5f00::1", "fc00::1", "fdff::1", "fe80::1", "febf::1", "fec0::1", "ff02::1", "ff0e::1",
	}
	dial := func(g guard, ip string) error {
		return g.control(context.Background(), "tcp", netip.AddrPortFrom(netip.MustParseAddr(ip), 443).String(), nil)
	}
	g := newGuard(nil)
	for _, ip := range public {
		if err := dial(g, ip); err != nil {
			t.Errorf("%s: %v", ip, err)
		}
	}
	for _, ip := range private {
		if dial(g, ip) == nil {
			t.Errorf("%s is open", ip)
		}
	}
	if dial(g, "fe80::1%eth0") == nil || g.control(context.Background(), "tcp", "hooks.example.net:443", nil) == nil {
		t.Error("an address that is none of the public is open")
	}
	for allow, c := range map[string]struct{ open, closed []string }{
		"10.20.0.0/16":          {[]string{"10.20.0.5", "::ffff:10.20.0.5", "64:ff9b::10.20.0.5"}, []string{"10.21.0.0", "127.0.0.1"}},
		"10.20.0.5/16":          {[]string{"10.20.9.9"}, []string{"10.21.0.0"}}, // the bits beyond say nothing
		"::ffff:10.0.0.0/104":   {[]string{"10.1.2.3", "::ffff:10.1.2.3"}, []string{"127.0.0.1", "::1"}},
		"fd00::/8":              {[]string{"fd00::1"}, []string{"fc00::1", "::1"}},
		"fe80::/10":             {[]string{"fe80::1%eth0"}, []string{"::1"}},
		"0.0.0.0/0":             {[]string{"127.0.0.1"}, []string{"::1"}},
		"::1/128":               {[]string{"::1"}, []string{"127.0.0.1"}},
		"64:ff9b::10.0.0.1/128": {[]string{"64:ff9b::10.0.0.1"}, []string{"10.0.0.1"}},
	} {
		g := newGuard([]netip.Prefix{netip.MustParsePrefix(allow)})
		for _, ip := range append(c.open, "8.8.8.8") {
			if err := dial(g, ip); err != nil {
				t.Errorf("allow %s: %s: %v", allow, ip, err)
			}
		}
		for _, ip := range c.closed {
			if dial(g, ip) == nil {
				t.Errorf("allow %s: %s is open", allow, ip)
			}
		}
	}
}

// resolve makes s ask a name server of the test, which knows the addresses
// of every name, one after another of them for each query; without addresses
// there is no such name.
func resolve(t testing.TB, s *Sender, addresses ...string) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var asked atomic.Int64
	wg.Go(func() {
		buffer := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buffer[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			m.Response, m.Authoritative, m.Additionals = true, true, nil
			if len(addresses) == 0 {
				m.RCode = dnsmessage.RCodeNameError
			} else if q.Type == dnsmessage.TypeA {
				address := addresses[int(asked.Add(1)-1)%len(addresses)]
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
					Body:   &dnsmessage.AResource{A: netip.MustParseAddr(address).As4()},
				}}
			}
			if answer, err := m.Pack(); err == nil {
				conn.WriteTo(answer, from)
			}
		}
	})
	t.Cleanup(func() {
		conn.Close()
		wg.Wait()
	})
	s.dialer.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func TestSend_RefusesPrivateTargets(t *testing.T) {
	s := listen(t, nil)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	for host, address := range map[string]string{
		"127.0.0.1": "127.0.0.1", "[::ffff:127.0.0.1]": "127.0.0.1", "[::1]": "::1", "[::]": "::", "0.0.0.0": "0.0.0.0",
		"localhost": "", "LOCALHOST": "", "127.0.0.2": "127.0.0.2", "10.0.0.1": "10.0.0.1", "169.254.169.254": "169.254.169.254",
		"[64:ff9b::a00:1]": "64:ff9b::a00:1", "[fe80::1%25lo]": "fe80::1",
		// What is no address to Go is a name. One of digits alone is not asked
		// for by Go's own resolver; the system's would know an address.
		"127.0.0.1.": "no", "2130706433": "no", "0177.0.0.1": "no", "127.1": "no",
		"0x7f000001": "127.0.0.1", "hooks.example.net": "127.0.0.1",
	} {
		to := sender(t, func(c *Config) { c.Allow = nil })
		resolve(t, to, "127.0.0.1")
		_, err := to.Send(t.Context(), hook("generic", "http://"+host+":"+u.Port()), single("a", "b"))
		f := asFault(t, err)
		want := address + " is not a public address; --webhook-allow"
		if address == "no" {
			want = "no such host"
		}
		if !f.Server || f.Permanent || !strings.Contains(f.Words, want) {
			t.Errorf("%s: fault %+v", host, f)
		}
	}
	if n := len(s.seen()); n > 0 {
		t.Errorf("%d requests arrived", n)
	}
}

func TestSend_ANameThatChangesItsAddress(t *testing.T) {
	s := listen(t, nil)
	to := sender(t, func(c *Config) { c.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} })
	resolve(t, to, "127.0.0.1", "127.0.0.2")
	w := hook("slack", strings.Replace(s.URL, "127.0.0.1", "hooks.example.net", 1))
	var outcomes []bool
	for range 4 {
		_, err := to.Send(t.Context(), w, single("a", "b"))
		outcomes = append(outcomes, err == nil)
		if err != nil && !strings.Contains(asFault(t, err).Words, "127.0.0.2 is not a public address") {
			t.Errorf("fault %v", err)
		}
	}
	if !slices.Equal(outcomes, []bool{true, false, true, false}) || len(s.seen()) != 2 {
		t.Errorf("outcomes %v, %d requests", outcomes, len(s.seen()))
	}
}

func TestSend_ConnectFaultsAreTheTargets(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	to := sender(t, nil)
	_, err = to.Send(t.Context(), models.Webhook{Kind: "generic", URL: "http://" + l.Addr().String()}, single("a", "b"))
	if f := asFault(t, err); !f.Server || f.Words != "connect to "+l.Addr().String()+": connect: connection refused" {
		t.Errorf("fault %+v", f)
	}
	resolve(t, to)
	_, err = to.Send(t.Context(), models.Webhook{Kind: "generic", URL: "https://nowhere.example"}, single("a", "b"))
	if f := asFault(t, err); !f.Server || f.Words != "connect to nowhere.example: no such host" {
		t.Errorf("fault %+v", f)
	}
	// A name server that says nothing.
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	slow := sender(t, func(c *Config) { c.AttemptTimeout = 300 * time.Millisecond })
	// A lookup goes on after the try, until the resolver's own limit: here it is ended.
	over, end := context.WithCancel(t.Context())
	defer end()
	slow.dialer.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "udp", silent.LocalAddr().String())
		if err == nil {
			context.AfterFunc(over, func() { conn.Close() })
			err = over.Err()
		}
		return conn, err
	}}
	begin := time.Now()
	_, err = slow.Send(t.Context(), models.Webhook{Kind: "generic", URL: "https://slow.example"}, single("a", "b"))
	if f := asFault(t, err); !f.Server || !strings.HasPrefix(f.Words, "connect to slow.example: ") || time.Since(begin) > 4*time.Second {
		t.Errorf("took %v, fault %+v", time.Since(begin), f)
	}
}
