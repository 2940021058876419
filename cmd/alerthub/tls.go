package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"alerthub/certs"
)

// tlsFlags are the settings of encryption.
type tlsFlags struct {
	TLSCert     string `name:"tls-cert" env:"ALERTHUB_TLS_CERT" group:"tls" placeholder:"FILE" help:"Certificate with its chain (PEM) of the panel, API and feed, which then speak HTTPS only."`
	TLSKey      string `name:"tls-key" env:"ALERTHUB_TLS_KEY" group:"tls" placeholder:"FILE" help:"Its key (PEM)."`
	TCPTLSCert  string `name:"tcp-tls-cert" env:"ALERTHUB_TCP_TLS_CERT" group:"tls" placeholder:"FILE" help:"Certificate of the TCP ingest, which then speaks TLS only."`
	TCPTLSKey   string `name:"tcp-tls-key" env:"ALERTHUB_TCP_TLS_KEY" group:"tls" placeholder:"FILE" help:"Its key."`
	TCPClientCA string `name:"tcp-client-ca" env:"ALERTHUB_TCP_CLIENT_CA" group:"tls" placeholder:"FILE" help:"Authorities (PEM) whose certificates devices may show to the TCP ingest in the place of a key; each speaks as its own name."`
}

// TLSFiles name a certificate and its key; both are "" for no encryption. The
// third names the authorities of clients, "" for none.
type TLSFiles struct{ Cert, Key, ClientCA string }

// resolve checks both pairs.
func (f *tlsFlags) resolve(ck *checker) (web, tcp TLSFiles) {
	web = ck.pair("--tls-cert", f.TLSCert, "--tls-key", f.TLSKey)
	problems := len(ck.problems)
	tcp = ck.pair("--tcp-tls-cert", f.TCPTLSCert, "--tcp-tls-key", f.TCPTLSKey)
	if tcp.ClientCA = f.TCPClientCA; tcp.ClientCA == "" || len(ck.problems) > problems {
		return web, tcp
	}
	if tcp.Cert == "" {
		ck.bad("--tcp-client-ca", "needs --tcp-tls-cert: certificates are shown over TLS")
	} else if _, err := certs.Load(tcp.Cert, tcp.Key, tcp.ClientCA, nil); err != nil {
		ck.bad("--tcp-client-ca", "%v", err)
	}
	return web, tcp
}

func (c *checker) pair(certName, cert, keyName, key string) TLSFiles {
	problems := len(c.problems)
	for _, f := range [][2]string{{certName, cert}, {keyName, key}} {
		if f[1] == "" {
			continue
		}
		if _, err := os.ReadFile(f[1]); err != nil {
			c.bad(f[0], "%s cannot be read: %v", f[1], errors.Unwrap(err))
		}
	}
	switch {
	case cert == "" && key != "":
		c.bad(certName, "is needed with %s", keyName)
	case cert != "" && key == "":
		c.bad(keyName, "is needed with %s", certName)
	case cert != "" && len(c.problems) == problems:
		if _, err := certs.Load(cert, key, "", nil); err != nil {
			c.bad(certName+", "+keyName, "%v", err)
		}
	}
	return TLSFiles{Cert: cert, Key: key}
}

// loadCertificates reads the pairs that the settings name, or makes ready to
// get one.
func (a *App) loadCertificates() error {
	if a.settings.ACME.Domain != "" {
		a.webCert = a.acmeCertificate()
	}
	for _, l := range []struct {
		to    *certificate
		files TLSFiles
	}{{&a.webCert, a.settings.TLS}, {&a.tcpCert, a.settings.TCPTLS}} {
		if l.files.Cert == "" {
			continue
		}
		pair, err := certs.Load(l.files.Cert, l.files.Key, l.files.ClientCA, a.logger.With("room", "certs"))
		if err != nil {
			return err
		}
		*l.to = pair
	}
	return nil
}

// serverTLS is how a door shows cert; nil without one.
func serverTLS(cert certificate) *tls.Config {
	if cert == nil {
		return nil
	}
	return cert.Config()
}

func (a *App) collectCertificates(out emitter) {
	for door, cert := range map[string]certificate{"web": a.webCert, "tcp": a.tcpCert} {
		if cert != nil {
			out.gauge("certificate_expires_timestamp_seconds", "When the certificate of a door expires; 0 before there is one.", seconds(cert.Expires()), "door", door)
		}
	}
}

var errCertificateTime = errors.New("the certificate of the TCP port is expired or not yet valid")

// ownDoor is how the hub trusts its own TCP door: it needs no name and no
// authority to know its own listener, but an expired certificate is as good as
// a closed door to devices.
func ownDoor() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			leaf, now := s.PeerCertificates[0], time.Now()
			if now.After(leaf.NotAfter) || now.Before(leaf.NotBefore) {
				return errCertificateTime
			}
			return nil
		},
	}
}

// tlsClient is how a command speaks to a hub that encrypts.
type tlsClient struct {
	TLS   bool   `name:"tls" help:"Speak TLS."`
	TLSCA string `name:"tls-ca" placeholder:"FILE" help:"PEM certificates to trust instead of the system's; implies --tls."`
}

// config returns nil for plain text.
func (c *tlsClient) config() (*tls.Config, error) {
	if !c.TLS && c.TLSCA == "" {
		return nil, nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLSCA != "" {
		pem, err := os.ReadFile(c.TLSCA)
		if err != nil {
			return nil, fmt.Errorf("--tls-ca: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--tls-ca: %s holds no PEM certificate", c.TLSCA)
		}
	}
	return cfg, nil
}

// dialer connects in the way that cfg says; nil is plain text.
func dialer(cfg *tls.Config, timeout time.Duration) func(ctx context.Context, addr string) (net.Conn, error) {
	plain := &net.Dialer{Timeout: timeout}
	if cfg == nil {
		return func(ctx context.Context, addr string) (net.Conn, error) { return plain.DialContext(ctx, "tcp", addr) }
	}
	encrypted := &tls.Dialer{NetDialer: plain, Config: cfg}
	return func(ctx context.Context, addr string) (net.Conn, error) {
		conn, err := encrypted.DialContext(ctx, "tcp", addr)
		var record tls.RecordHeaderError
		if errors.As(err, &record) {
			return nil, fmt.Errorf("%s does not speak TLS: %w", addr, err)
		}
		return conn, err
	}
}

// webClient asks a hub's panel; base is the beginning of its addresses.
func (c *tlsClient) webClient(addr string) (client *http.Client, base string, err error) {
	cfg, err := c.config()
	if err != nil || cfg == nil {
		return http.DefaultClient, "http://" + addr, err
	}
	return &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: cfg, DisableKeepAlives: true}}, "https://" + addr, nil
}
