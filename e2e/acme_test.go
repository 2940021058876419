package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
)

const acmeDomain = "alerts.example.net"

// authority is an ACME server that looks for acmeDomain on this machine, at the
// port of the hub's panel.
type authority struct {
	directory string
	rootFile  string         // whom its own address is from
	issued    *x509.CertPool // what its certificates lead to
	server    *httptest.Server
	asked     atomic.Int64
}

// startAuthority starts one that knows the port once open is called; requests
// before that wait.
func startAuthority(t *testing.T) (a *authority, open func(port int)) {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	a = &authority{issued: x509.NewCertPool()}
	var handler http.Handler // before opened is closed
	opened := make(chan struct{})
	a.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.asked.Add(1)
		select {
		case <-opened:
			handler.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(a.server.Close)
	a.server.Config.ErrorLog = log.New(t.Output(), "", 0)
	a.directory = a.server.URL + wfe.DirectoryPath
	a.rootFile = filepath.Join(t.TempDir(), "authority.pem")
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.server.Certificate().Raw})
	if err := os.WriteFile(a.rootFile, root, 0o600); err != nil {
		t.Fatal(err)
	}
	return a, func(port int) {
		t.Helper()
		logger := log.New(t.Output(), "pebble ", 0)
		store := db.NewMemoryStore()
		issuer := ca.New(logger, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {Description: "of this test"}})
		front := wfe.New(logger, store, va.New(logger, 1, port, true, serveNames(t), store), issuer, []string{"pebble.example.net"}, true, false, 1, 1)
		a.issued.AddCert(issuer.GetRootCert(0).Cert)
		handler = front.Handler()
		close(opened)
	}
}

// serveNames is a name server for which everything is on this machine.
func serveNames(t *testing.T) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{Listener: ln, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		if name := q.Question[0].Name; q.Question[0].Qtype == dns.TypeA {
			m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.IPv4(127, 0, 0, 1)})
		}
		_ = w.WriteMsg(m)
	})}
	done := make(chan error, 1)
	go func() { done <- server.ActivateAndServe() }()
	t.Cleanup(func() {
		_ = server.Shutdown()
		<-done
	})
	return ln.Addr().String()
}

// shown is the certificate that the panel or the feed shows for a name.
func (a *authority) shown(addr, name string) (*x509.Certificate, error) {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", addr, &tls.Config{RootCAs: a.issued, ServerName: name})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0], nil
}

// TestACME: the hub gets itself a certificate from an authority that proves the
// name at its panel's port, keeps it over a restart, and shows it to nobody who
// asks for another name. It is not parallel: the authority is set by variables.
func TestACME(t *testing.T) {
	a, open := startAuthority(t)
	dir := t.TempDir()
	o := options{dir: dir, args: []string{"--acme-domain", acmeDomain, "--acme-email", "noc@example.net", "--acme-directory", a.directory, "--acme-ca", a.rootFile}}
	p := startHub(t, o)
	if _, err := a.shown(p.HTTP, acmeDomain); err == nil {
		t.Error("a certificate is shown before there is one")
	}
	_, text, err := net.SplitHostPort(p.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	open(port)
	var cert *x509.Certificate
	eventually(t, 60*time.Second, func() (err error) {
		cert, err = a.shown(p.HTTP, acmeDomain)
		return err
	})
	t.Logf("%d requests to the authority", a.asked.Load())
	if of, err := a.shown(p.Feed, strings.ToUpper(acmeDomain)); err != nil || !of.Equal(cert) {
		t.Errorf("the feed shows another certificate: %v", err)
	}
	for _, name := range []string{"evil.example.org", "sub." + acmeDomain} {
		if _, err := a.shown(p.HTTP, name); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("asked for %s: %v", name, err)
		}
	}
	// Its name is one of the hub's, and what it has to hide is hidden.
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: a.issued, ServerName: acmeDomain}}}
	req, err := http.NewRequest(http.MethodGet, "https://"+p.HTTP+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = acmeDomain
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	metrics, err := io.ReadAll(res.Body)
	if want := fmt.Sprintf(`alerthub_certificate_expires_timestamp_seconds{door="web"} %g`, float64(cert.NotAfter.Unix())); err != nil || res.StatusCode != 200 || !strings.Contains(string(metrics), want) {
		t.Errorf("status %d, %v; want %s", res.StatusCode, err, want)
	}
	err = filepath.WalkDir(filepath.Join(dir, "acme"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if mode := info.Mode().Perm(); err == nil && mode&0o077 != 0 {
			t.Errorf("%s has mode %o", path, mode)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	p.Stop(10 * time.Second)

	// A restart needs no authority.
	a.server.Close()
	o.like = p
	p = startHub(t, o)
	eventually(t, 10*time.Second, func() error {
		again, err := a.shown(p.HTTP, acmeDomain)
		if err == nil && !again.Equal(cert) {
			t.Error("another certificate after the restart")
		}
		return err
	})
	p.Stop(10 * time.Second)
}

// TestACME_NobodyAnswers: an authority that cannot be reached is told, and ends
// nothing: devices are served, and the hub stops in order.
func TestACME_NobodyAnswers(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{args: []string{"--acme-domain", acmeDomain, "--acme-directory", "https://127.0.0.1:1/directory"}})
	if !p.log.WaitFor(20*time.Second, p.exit, func(line []byte) bool {
		return strings.Contains(string(line), "no certificate from the ACME directory") && strings.Contains(string(line), "connection refused")
	}) {
		t.Error("the log does not say that there is no certificate")
	}
	if a := dialDevice(t, p).Ask("{}"); !a.OK {
		t.Errorf("a device is answered %+v", a)
	}
	if _, err := (&authority{}).shown(p.HTTP, acmeDomain); err == nil {
		t.Error("a certificate is shown that nobody gave")
	}
	p.Stop(10 * time.Second)
}
