package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var start = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// makeLab makes a lab in a new directory.
func makeLab(t *testing.T, now time.Time, hosts ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tls")
	if err := MakeLab(dir, hosts, now); err != nil {
		t.Fatal(err)
	}
	return dir
}

// load reads the pair of dir under a clock that the test sets.
func load(t *testing.T, dir string, now *time.Time) (*Pair, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	p, err := Load(filepath.Join(dir, CertFile), filepath.Join(dir, KeyFile), "", slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	p.now = func() time.Time { return *now }
	p.looked = *now
	log.Reset() // the test's clock is not that of Load
	return p, &log
}

// replace puts the files of one lab in the place of another's.
func replace(t *testing.T, dir, from string, names ...string) {
	t.Helper()
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func commonName(p *Pair) string { return p.current().cert.Leaf.Subject.CommonName }

func TestPair_IsReadAgain(t *testing.T) {
	now := start
	dir, next := makeLab(t, now, "first.example.net"), makeLab(t, now.Add(time.Hour), "second.example.net")
	p, log := load(t, dir, &now)
	step := func(what, want string, logged int, word string) {
		t.Helper()
		now = now.Add(lookEvery)
		for range 3 { // once for each change, not for each handshake
			if got := commonName(p); got != want {
				t.Errorf("%s: %s is shown, want %s", what, got, want)
			}
			now = now.Add(lookEvery)
		}
		if got := log.String(); strings.Count(got, "\n") != logged || !strings.Contains(got, word) {
			t.Errorf("%s: logged %q", what, got)
		}
		log.Reset()
	}
	step("nothing changed", "first.example.net", 0, "")
	replace(t, dir, next, CertFile)
	step("half of it changed", "first.example.net", 1, "level=WARN")
	replace(t, dir, next, KeyFile)
	step("all of it changed", "second.example.net", 1, "certificate read again")
	if err := os.WriteFile(filepath.Join(dir, CertFile), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	step("nonsense", "second.example.net", 1, "level=WARN")
	if err := os.Remove(filepath.Join(dir, CertFile)); err != nil {
		t.Fatal(err)
	}
	step("gone", "second.example.net", 1, "no such file")
	replace(t, dir, makeLab(t, start, "third.example.net"), CertFile, KeyFile)
	step("back", "third.example.net", 1, "certificate read again")
	replace(t, dir, makeLab(t, start.Add(-2*certLife), "old.example.net"), CertFile, KeyFile)
	step("expired", "old.example.net", 2, "out of its time")
}

func TestPair_LooksOnceASecond(t *testing.T) {
	now := start
	dir, next := makeLab(t, now, "first.example.net"), makeLab(t, now, "second.example.net")
	p, _ := load(t, dir, &now)
	replace(t, dir, next, CertFile, KeyFile)
	now = now.Add(lookEvery - 1)
	if got := commonName(p); got != "first.example.net" {
		t.Errorf("%s is shown before its time", got)
	}
	now = now.Add(1)
	if got := commonName(p); got != "second.example.net" {
		t.Errorf("%s is shown after a second", got)
	}
	if got, want := p.Expires(), now.Add(certLife-clockSkew); got.Sub(want).Abs() > time.Minute {
		t.Errorf("expires %v, want %v", got, want)
	}
}

func TestLoad_SaysWhatIsWrong(t *testing.T) {
	a, b := makeLab(t, start, "a"), makeLab(t, start, "b")
	key, err := os.ReadFile(filepath.Join(a, KeyFile))
	if err != nil {
		t.Fatal(err)
	}
	secret := strings.Split(string(key), "\n")[1]
	for name, tt := range map[string]struct {
		cert, key string
		want      []string
	}{
		"neither is there": {filepath.Join(a, "x"), filepath.Join(b, "y"), []string{"/x: no such file", "/y: no such file"}},
		"another's key":    {filepath.Join(a, CertFile), filepath.Join(b, KeyFile), []string{"does not match"}},
		"the wrong way":    {filepath.Join(a, KeyFile), filepath.Join(a, CertFile), []string{"cert.pem"}},
		"a directory":      {a, filepath.Join(a, KeyFile), []string{"is a directory"}},
	} {
		_, err := Load(tt.cert, tt.key, "", nil)
		if err == nil {
			t.Errorf("%s: loaded", name)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", name, err, want)
			}
		}
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error holds the key", name)
		}
	}
}

func TestMakeLab_IsTrusted(t *testing.T) {
	dir := makeLab(t, time.Now(), "hub.example.net", "*.lab.example.net", "127.0.0.1", "::1")
	p, err := Load(filepath.Join(dir, CertFile), filepath.Join(dir, KeyFile), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(filepath.Join(dir, CAFile))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	for host, ok := range map[string]bool{"hub.example.net": true, "a.lab.example.net": true, "127.0.0.1": true, "::1": true, "evil.example.org": false, "127.0.0.2": false} {
		ours, theirs := net.Pipe()
		served := make(chan error, 1)
		go func() { served <- tls.Server(ours, p.Config()).Handshake() }()
		conn := tls.Client(theirs, &tls.Config{RootCAs: roots, ServerName: host})
		if err := conn.Handshake(); (err == nil) != ok {
			t.Errorf("%s: %v", host, err)
		}
		theirs.Close()
		<-served
		ours.Close()
	}
	if p.Config().MinVersion != tls.VersionTLS12 {
		t.Error("TLS below 1.2 is spoken")
	}
}

// shake does a handshake, showing the certificate of a device, and reports how
// it ended for both sides.
func shake(t *testing.T, p *Pair, dir, client string) (shown []*x509.Certificate, server, device error) {
	t.Helper()
	var mine []tls.Certificate
	if client != "" {
		cert, key := ClientFiles(client)
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, cert), filepath.Join(dir, key))
		if err != nil {
			t.Fatal(err)
		}
		mine = []tls.Certificate{pair}
	}
	ours, theirs := net.Pipe()
	defer ours.Close()
	served := make(chan error, 1)
	conn := tls.Server(ours, p.Config())
	go func() {
		err := conn.Handshake()
		shown = conn.ConnectionState().PeerCertificates
		ours.Close() // ends the client's read
		served <- err
	}()
	there := tls.Client(theirs, &tls.Config{InsecureSkipVerify: true, Certificates: mine})
	defer theirs.Close()
	device = there.Handshake()
	if device == nil {
		if _, device = there.Read(make([]byte, 1)); errors.Is(device, io.EOF) || errors.Is(device, io.ErrUnexpectedEOF) {
			device = nil
		}
	}
	server = <-served
	return shown, server, device
}

func TestPair_Clients(t *testing.T) {
	now := time.Now()
	dir, other := makeLab(t, now, "hub"), makeLab(t, now, "hub")
	for _, d := range []string{dir, other} {
		if err := MakeClient(d, "ups-1", now); err != nil {
			t.Fatal(err)
		}
	}
	if err := MakeClient(dir, "old", now.Add(-2*certLife)); err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	replace(t, filepath.Dir(ca), dir, CAFile)
	p, err := Load(filepath.Join(dir, CertFile), filepath.Join(dir, KeyFile), ca, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.now, p.looked = func() time.Time { return now }, now
	check := func(what, dir, client string, ok bool) {
		t.Helper()
		shown, server, device := shake(t, p, dir, client)
		switch {
		case (server == nil) != ok || (device == nil) != ok:
			t.Errorf("%s: %v, %v", what, server, device)
		case ok && client != "" && (len(shown) != 1 || shown[0].DNSNames[0] != client):
			t.Errorf("%s: shown %v", what, shown)
		}
	}
	check("none", "", "", true)
	check("one of the authority", dir, "ups-1", true)
	check("one of another authority", other, "ups-1", false)
	check("one that is expired", dir, "old", false)
	replace(t, filepath.Dir(ca), other, CAFile)
	check("before the change is looked at", dir, "ups-1", true)
	now = now.Add(lookEvery)
	check("the old authority", dir, "ups-1", false)
	check("the new authority", other, "ups-1", true)
	if p.Config().MinVersion != tls.VersionTLS12 || p.held.withClients.MinVersion != tls.VersionTLS12 {
		t.Error("TLS below 1.2 is spoken")
	}
}

func TestMakeClient_UsesTheAuthority(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	if err := MakeClient(dir, "ups-1", start); err != nil { // makes one
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, CAFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := MakeLab(dir, []string{"hub"}, start); err != nil {
		t.Fatal(err)
	}
	if err := MakeClient(dir, "ups-2", start); err != nil {
		t.Fatal(err)
	}
	if err := MakeClient(dir, "ups-2", start); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over another: %v", err)
	}
	if after, _ := os.ReadFile(filepath.Join(dir, CAFile)); !bytes.Equal(before, after) {
		t.Error("the authority is another one")
	}
	if info, err := os.Stat(filepath.Join(dir, "client-ups-2-key.pem")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key: %v, %v", info, err)
	}
	for _, name := range []string{"", ".", "..", "../x", "a/b"} {
		if err := MakeClient(dir, name, start); err == nil {
			t.Errorf("made for %q", name)
		}
	}
	// Without its key an authority makes nothing, and is not written over.
	if err := os.Remove(filepath.Join(dir, CAKeyFile)); err != nil {
		t.Fatal(err)
	}
	if err := MakeClient(dir, "ups-3", start); !errors.Is(err, fs.ErrExist) {
		t.Errorf("without the authority's key: %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 7 {
		t.Errorf("left: %v", entries)
	}
}

func TestMakeLab_FilesAreGuarded(t *testing.T) {
	dir := makeLab(t, start, "hub")
	for name, mode := range map[string]fs.FileMode{CAFile: 0o644, CAKeyFile: 0o600, CertFile: 0o644, KeyFile: 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&^mode != 0 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
	before, err := os.ReadFile(filepath.Join(dir, KeyFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := MakeLab(dir, []string{"hub"}, start); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over other files: %v", err)
	}
	if after, _ := os.ReadFile(filepath.Join(dir, KeyFile)); !bytes.Equal(before, after) {
		t.Error("the key was written over")
	}
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, KeyFile), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := MakeLab(other, []string{"hub"}, start); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over another key: %v", err)
	}
	if entries, _ := os.ReadDir(other); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
	if err := MakeLab(dir, nil, start); err == nil {
		t.Error("a certificate for nothing")
	}
}
