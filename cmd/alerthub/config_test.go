package main

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"alerthub/models"
)

// resolve parses a command line under an environment as main does.
func resolve(t *testing.T, env map[string]string, args ...string) (Settings, error) {
	t.Helper()
	for name, value := range env {
		t.Setenv(name, value)
	}
	var c cli
	parser, err := kong.New(&c, kong.Vars{"version": version}, kong.ExplicitGroups(settingGroups))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(append([]string{"serve"}, args...)); err != nil {
		t.Fatal(err)
	}
	return c.Serve.resolve(func(name string) string { return env[name] })
}

func TestResolve_Defaults(t *testing.T) {
	s, err := resolve(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Settings{
		HTTPAddr: "127.0.0.1:5080", TCPAddr: "127.0.0.1:5090", FeedAddr: "127.0.0.1:8767", DataDir: "./data",
		Access:            AccessSettings{SessionIdle: 12 * time.Hour, SessionMax: 30 * 24 * time.Hour, Anonymous: models.Networks{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}},
		TCPMaxConnections: 10000, TCPMaxLine: 65536, TCPIdleTimeout: 10 * time.Minute,
		Limits: LimitSettings{
			Source: models.Rate{PerSecond: 5000, Burst: 10_000}, Peer: models.Rate{PerSecond: 10_000, Burst: 20_000}, Key: models.Rate{PerSecond: 10_000, Burst: 20_000},
			TCPPerAddress: 256, HTTPConnections: 4096, HTTPPerAddress: 256,
			Shared: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("::1/128")},
		},
		Watch: WatchSettings{HeartbeatEvery: time.Minute},
		SMTP:  SMTPSettings{Port: 587, TLS: "starttls", RetryMin: 15 * time.Second, RetryMax: 15 * time.Minute, MaxAge: 24 * time.Hour},
	}
	if diff := cmp.Diff(want, s, samePrefix); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"SMTP_HOST", "SMTP_FROM", "SMTP_TO"}, s.SMTP.Missing()); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
}

func TestResolve_Limits(t *testing.T) {
	s, err := resolve(t, map[string]string{"ALERTHUB_LIMIT_SOURCE": "200/2000"}, "--limit-peer", "0", "--shared-addresses", "", "--tcp-max-connections-per-address", "0")
	if err != nil {
		t.Fatal(err)
	}
	want := LimitSettings{Source: models.Rate{PerSecond: 200, Burst: 2000}, Key: models.Rate{PerSecond: 10_000, Burst: 20_000}, HTTPConnections: 4096, HTTPPerAddress: 256}
	if diff := cmp.Diff(want, s.Limits, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("limits (-want +got):\n%s", diff)
	}
}

func TestResolve_SMTP(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "pass")
	if err := os.WriteFile(secret, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := resolve(t, map[string]string{
		"SMTP_HOST": "mail.example.net", "SMTP_USER": "hub@example.net", "SMTP_PASS_FILE": secret,
		"SMTP_TO": "noc@example.net, On Call <oncall@example.net>,noc@example.net",
	})
	if err != nil {
		t.Fatal(err)
	}
	if s.SMTP.Password != "from a file" || s.SMTP.From != "hub@example.net" {
		t.Errorf("password %q from %q, want the file's content and the user", s.SMTP.Password, s.SMTP.From)
	}
	if diff := cmp.Diff([]string{"noc@example.net", "oncall@example.net"}, s.SMTP.To); diff != "" {
		t.Errorf("recipients (-want +got):\n%s", diff)
	}
	if missing := s.SMTP.Missing(); len(missing) > 0 {
		t.Errorf("missing %v, want nothing", missing)
	}
}

func TestResolve_FlagBeatsEnvironment(t *testing.T) {
	s, err := resolve(t, map[string]string{"ALERTHUB_TCP_ADDR": "127.0.0.1:1111"}, "--tcp-addr", "127.0.0.1:2222")
	if err != nil {
		t.Fatal(err)
	}
	if s.TCPAddr != "127.0.0.1:2222" {
		t.Errorf("TCPAddr = %s, want the flag's", s.TCPAddr)
	}
}

func TestResolve_NamesEveryWrongSettingAtOnce(t *testing.T) {
	_, err := resolve(t, map[string]string{
		"SMTP_PORT": "smtp", "SMTP_USER": "hub", "SMTP_TLS": "maybe", "SMTP_TO": "nobody", "SMTP_CA_FILE": "/nonexistent",
		"SMTP_PASS_FILE": "/nonexistent", "ALERTHUB_EMAIL_MAX_AGE": "soon", "ALERTHUB_LOG_LEVEL": "loud", "ALERTHUB_LOG_FORMAT": "xml",
		"ALERTHUB_ANONYMOUS": "10.0.0.0/8,lan", "ALERTHUB_SESSION_MAX": "1h", "ALERTHUB_SESSION_IDLE": "-1s",
	}, "--http-addr", "127.0.0.1:5060", "--feed-addr", "5061", "--tcp-addr", "127.0.0.1:99999",
		"--tcp-max-connections", "0", "--tcp-max-line", "x", "--tcp-idle-timeout=-1s", "--data-dir", "",
		"--limit-source", "200", "--limit-peer", "0/10", "--limit-key", "10/many", "--shared-addresses", "everybody", "--trusted-proxies", "10.0.0.1,::/0",
		"--http-max-connections", "0", "--tcp-max-connections-per-address=-1", "--http-max-connections-per-address", "x")
	var wrong *settingsError
	if !errors.As(err, &wrong) {
		t.Fatalf("resolve: %v, want a settingsError", err)
	}
	for _, name := range []string{
		"--http-addr", "--feed-addr", "--tcp-addr", "--tcp-max-connections", "--tcp-max-line", "--tcp-idle-timeout", "--data-dir",
		"SMTP_PORT", "SMTP_USER, SMTP_PASS", "SMTP_TLS", "SMTP_TO", "SMTP_CA_FILE", "SMTP_PASS_FILE", "--email-max-age", "--anonymous", "--log-level", "--log-format",
		"--session-idle", "--trusted-proxies", "--limit-source", "--limit-peer", "--limit-key", "--shared-addresses", "--http-max-connections", "--tcp-max-connections-per-address", "--http-max-connections-per-address",
	} {
		if !strings.Contains(err.Error(), "\n  "+name+": ") {
			t.Errorf("the error does not name %s:\n%v", name, err)
		}
	}
	if !strings.Contains(err.Error(), "port 5060 (ERR_UNSAFE_PORT)") {
		t.Errorf("the error does not explain port 5060:\n%v", err)
	}
}

var samePrefix = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

func TestResolve_Anonymous(t *testing.T) {
	for text, want := range map[string]AccessSettings{
		"":                              {Anonymous: models.Networks{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}},
		"none":                          {Explicit: true},
		"10.1.2.3/16, ::ffff:192.0.2.7": {Explicit: true, Anonymous: models.Networks{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("192.0.2.7/32")}},
	} {
		want.SessionIdle, want.SessionMax = 12*time.Hour, 30*24*time.Hour
		s, err := resolve(t, map[string]string{"ALERTHUB_ANONYMOUS": text})
		if diff := cmp.Diff(want, s.Access, samePrefix); diff != "" || err != nil {
			t.Errorf("%q (-want +got): %s%v", text, diff, err)
		}
	}
}

func TestResolve_SameAddressTwice(t *testing.T) {
	_, err := resolve(t, nil, "--tcp-addr", "127.0.0.1:5080")
	if err == nil || !strings.Contains(err.Error(), "--tcp-addr: 127.0.0.1:5080 is already --http-addr") {
		t.Errorf("resolve: %v, want a complaint about the shared address", err)
	}
	if _, err := resolve(t, nil, "--tcp-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0"); err != nil {
		t.Errorf("port 0 twice: %v, want no complaint", err)
	}
}
