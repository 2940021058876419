package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
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
	p, err := Load(filepath.Join(dir, CertFile), filepath.Join(dir, KeyFile), slog.New(slog.NewTextHandler(&log, nil)))
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

func commonName(p *Pair) string { return p.current().Leaf.Subject.CommonName }

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
		_, err := Load(tt.cert, tt.key, nil)
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
	p, err := Load(filepath.Join(dir, CertFile), filepath.Join(dir, KeyFile), nil)
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
