package tcpingest

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// authority signs certificates of devices.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	ca := authority{cert: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "devices"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}}
	ca.key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	der, err := x509.CreateCertificate(rand.Reader, ca.cert, ca.cert, ca.key.Public(), ca.key)
	if err == nil {
		ca.cert, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// device makes a certificate with a common name and DNS names.
func (ca authority) device(t *testing.T, common string, names ...string) tls.Certificate {
	t.Helper()
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: common}, DNSNames: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, ca.cert, key.Public(), ca.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestClients_SpeakAsThemselves: whose certificate it is, as that it speaks.
func TestClients_SpeakAsThemselves(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	cfg := labTLS(t)
	cfg.ClientAuth, cfg.ClientCAs = tls.VerifyClientCertIfGiven, x509.NewCertPool()
	cfg.ClientCAs.AddCert(ca.cert)
	svc := &fakeService{}
	s, addr := start(t, svc, Config{Access: keyed(true), TLS: cfg})
	const lines = "{}\n" + `{"source":"ups-1"}` + "\n" + `{"source":"sw-1"}` + "\n"
	const refused = unauthorized + "\n" + unauthorized + "\n" + unauthorized + "\n"
	for _, tt := range []struct {
		name    string
		shown   []tls.Certificate
		first   string // line
		want    string // answers; # stands for an event
		sources string // stored
	}{
		{"a DNS name", []tls.Certificate{ca.device(t, "other", "ups-1", "sw-1")}, "", "#\n#\n" + unauthorized + "\n", "ups-1 ups-1"},
		{"a common name", []tls.Certificate{ca.device(t, "ups-1")}, "", "#\n#\n" + unauthorized + "\n", "ups-1 ups-1"},
		{"a name in another case", []tls.Certificate{ca.device(t, "", "UPS-1")}, "", "#\n" + unauthorized + "\n" + unauthorized + "\n", "UPS-1"},
		{"a name with blanks in it", []tls.Certificate{ca.device(t, "ups 1, hall 3")}, "", "#\n" + unauthorized + "\n" + unauthorized + "\n", "ups 1, hall 3"},
		{"a name of many", []tls.Certificate{ca.device(t, "", "*")}, "", refused, ""},
		{"a pattern", []tls.Certificate{ca.device(t, "ups-?")}, "", refused, ""},
		{"a name with an end of line", []tls.Certificate{ca.device(t, "ups-1\nsw-1")}, "", refused, ""},
		{"a name that is too long", []tls.Certificate{ca.device(t, "", strings.Repeat("a", 81))}, "", refused, ""},
		{"no name", []tls.Certificate{ca.device(t, "")}, "", refused, ""},
		{"no certificate", nil, "", refused, ""},
		{"no certificate, and a key", nil, `{"token":"any"}` + "\n", ok + "\n#\n#\n#\n", "127.0.0.1 ups-1 sw-1"},
		{"a certificate, and a key", []tls.Certificate{ca.device(t, "ups-1")}, `{"token":"any"}` + "\n", ok + "\n#\n#\n#\n", "127.0.0.1 ups-1 sw-1"},
		{"a certificate, and a wrong key", []tls.Certificate{ca.device(t, "ups-1")}, `{"token":"wrong"}` + "\n", unauthorized + "\n" + refused, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := len(svc.stored())
			conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, Certificates: tt.shown})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(10 * time.Second))
			io.WriteString(conn, tt.first+lines)
			conn.CloseWrite()
			got, err := io.ReadAll(conn)
			if err != nil {
				t.Fatal(err)
			}
			var sources []string
			for i, d := range svc.stored()[before:] {
				sources = append(sources, d.Source)
				tt.want = strings.Replace(tt.want, "#", fmt.Sprintf(`{"ok":true,"event_id":%d}`, before+i+1), 1)
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
			if got := strings.Join(sources, " "); got != tt.sources {
				t.Errorf("stored of %q, want %q", got, tt.sources)
			}
		})
	}
	t.Run("of another authority", func(t *testing.T) {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			conn, err := tls.Dial("tcp", addr, &tls.Config{
				InsecureSkipVerify: true, MaxVersion: version,
				GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					c := other.device(t, "ups-1")
					return &c, nil
				},
			})
			if err == nil { // in TLS 1.3 the client is done before it is judged
				conn.SetDeadline(time.Now().Add(10 * time.Second))
				io.WriteString(conn, lines)
				_, err = bufio.NewReader(conn).ReadString('\n')
				conn.Close()
			}
			if err == nil || !strings.Contains(err.Error(), "certificate") {
				t.Errorf("the end is no clear one: %v", err)
			}
		}
		eventually(t, "both are counted", func() bool { return s.Stats().Refused["tls_handshake"] == 2 })
	})
}
