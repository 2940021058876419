package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"alerthub/certs"
	"alerthub/tcpingest"
)

// labFiles makes a lab for 127.0.0.1.
func labFiles(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "tls")
	if err := certs.MakeLab(dir, []string{"127.0.0.1"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestResolve_Certificates(t *testing.T) {
	a, b := labFiles(t), labFiles(t)
	cert, key, other := filepath.Join(a, certs.CertFile), filepath.Join(a, certs.KeyFile), filepath.Join(b, certs.KeyFile)
	ca := filepath.Join(a, certs.CAFile)
	if s, err := resolve(t, map[string]string{"ALERTHUB_TCP_CLIENT_CA": ca}, "--tcp-tls-cert", cert, "--tcp-tls-key", key); err != nil || s.TCPTLS != (TLSFiles{cert, key, ca}) {
		t.Errorf("clients: %+v, %v", s.TCPTLS, err)
	}
	t.Setenv("ALERTHUB_TCP_CLIENT_CA", "")
	s, err := resolve(t, map[string]string{"ALERTHUB_TLS_KEY": key}, "--tls-cert", cert)
	if err != nil || s.TLS != (TLSFiles{Cert: cert, Key: key}) || s.TCPTLS != (TLSFiles{}) {
		t.Errorf("%+v %+v, %v", s.TLS, s.TCPTLS, err)
	}
	for name, tt := range map[string]struct{ args, want []string }{
		"no key":           {[]string{"--tls-cert", cert, "--tls-key="}, []string{"--tls-key: is needed"}},
		"no certificate":   {[]string{"--tls-key", key, "--tcp-tls-key", key}, []string{"--tls-cert: is needed", "--tcp-tls-cert: is needed"}},
		"both unreadable":  {[]string{"--tls-cert", "/nowhere/c", "--tls-key", "/nowhere/k"}, []string{"--tls-cert: /nowhere/c cannot be read: no such file", "--tls-key: /nowhere/k cannot be read"}},
		"two wrong pairs":  {[]string{"--tls-cert", cert, "--tls-key", other, "--tcp-tls-cert", key, "--tcp-tls-key", key}, []string{"--tls-cert, --tls-key: ", "does not match", "--tcp-tls-cert, --tcp-tls-key: "}},
		"clients, plain":   {[]string{"--tcp-client-ca", ca}, []string{"--tcp-client-ca: needs --tcp-tls-cert"}},
		"no such clients":  {[]string{"--tcp-tls-cert", cert, "--tcp-tls-key", key, "--tcp-client-ca", "/nowhere/ca"}, []string{"--tcp-client-ca: open /nowhere/ca"}},
		"clients of a key": {[]string{"--tcp-tls-cert", cert, "--tcp-tls-key", key, "--tcp-client-ca", key}, []string{"--tcp-client-ca: ", "holds no PEM certificate"}},
		"a directory, too": {[]string{"--tls-cert", a, "--tls-key", key, "--tcp-addr", "x"}, []string{"--tls-cert: ", "is a directory", "--tcp-addr: "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("ALERTHUB_TLS_KEY", "")
			_, err := resolve(t, nil, tt.args...)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("does not say %q: %v", want, err)
				}
			}
		})
	}
}

func TestSend_TLS(t *testing.T) {
	dir := labFiles(t)
	pair, err := certs.Load(filepath.Join(dir, certs.CertFile), filepath.Join(dir, certs.KeyFile), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	hub := &memoryHub{}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := tcpingest.New(hub, tcpingest.Config{Access: doorkeeper{}, TLS: pair.Config()})
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	defer func() {
		if err := server.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		<-served
	}()
	for _, tt := range []struct {
		args []string
		want string // of the error; "" for none
	}{
		{[]string{"--tls-ca", filepath.Join(dir, certs.CAFile)}, ""},
		{[]string{"--tls", "--tls-ca", filepath.Join(dir, certs.CAFile)}, ""},
		{[]string{"--tls"}, "unknown authority"},
		{nil, "it wants --tls"},
		{[]string{"--tls-ca", filepath.Join(dir, certs.KeyFile)}, "holds no PEM certificate"},
		{[]string{"--tls-ca", "/nowhere/ca"}, "--tls-ca: open /nowhere/ca"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), append([]string{"send", "--addr", ln.Addr().String(), "--count=2", "--interval=1ms"}, tt.args...), nil, &stdout, &stderr)
		if (code == 0) != (tt.want == "") || !strings.Contains(stderr.String(), tt.want) {
			t.Errorf("%v: exit %d, %s", tt.args, code, stderr.String())
		}
	}
	if n := len(hub.messages()); n != 4 {
		t.Errorf("%d events stored, want 4", n)
	}
}

func TestSend_TLSToAPlainPort(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := tcpingest.New(&memoryHub{}, tcpingest.Config{Access: doorkeeper{}})
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	var stderr bytes.Buffer
	if code := run(t.Context(), []string{"send", "--addr", ln.Addr().String(), "--tls", "--count=1"}, nil, &stderr, &stderr); code == 0 || !strings.Contains(stderr.String(), "does not speak TLS") {
		t.Errorf("exit %d, %s", code, stderr.String())
	}
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	<-served
}

func TestWebClient_TrustsTheAuthority(t *testing.T) {
	dir := labFiles(t)
	pair, err := certs.Load(filepath.Join(dir, certs.CertFile), filepath.Join(dir, certs.KeyFile), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Listener = tls.NewListener(server.Listener, pair.Config())
	server.Start()
	defer server.Close()
	addr := server.Listener.Addr().String()
	c := tlsClient{TLSCA: filepath.Join(dir, certs.CAFile)}
	client, base, err := c.webClient(addr)
	if err != nil || base != "https://"+addr {
		t.Fatal(base, err)
	}
	answer, err := client.Get(base)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
}

func TestCert_MakesALabOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "lab")
	var stdout, stderr bytes.Buffer
	args := []string{"cert", "--dir", dir, "hub.example.net", "127.0.0.1", "::1"}
	if code := run(t.Context(), args, nil, &stdout, &stderr); code != 0 || !strings.Contains(stdout.String(), "--tls-cert "+filepath.Join(dir, certs.CertFile)) {
		t.Errorf("exit %d, %s%s", code, stdout.String(), stderr.String())
	}
	if code := run(t.Context(), args, nil, &stdout, &stderr); code != exitFailure || !strings.Contains(stderr.String(), "file exists") {
		t.Errorf("again: exit %d, %s", code, stderr.String())
	}
	for _, wrong := range [][]string{{"cert", "--dir", dir}, {"cert", "hub"}, {"cert", "--dir", dir + "2", "https://hub"}, {"cert", "--dir", dir + "2", "hub:5080"}} {
		if code := run(t.Context(), wrong, nil, &stdout, &stderr); code != exitUsage {
			t.Errorf("%v: exit %d", wrong, code)
		}
	}
	if _, err := os.Stat(dir + "2"); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a wrong command line made a directory")
	}
}
