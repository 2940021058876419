package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// The files that MakeLab writes.
const (
	CAFile    = "ca.pem"     // for the clients to trust
	CAKeyFile = "ca-key.pem" // for nobody: whoever has it can pose as any site to those clients
	CertFile  = "cert.pem"
	KeyFile   = "key.pem"
)

const (
	caLife = 10 * 365 * 24 * time.Hour
	// certLife is the most that Apple's systems take from an authority that
	// was added by hand (support.apple.com/103769).
	certLife = 825 * 24 * time.Hour
	// clockSkew is how far the clients' clocks may be behind.
	clockSkew = time.Hour
)

// MakeLab makes an authority and a server certificate for hosts, which are
// names and IP addresses, in dir, which it makes if need be. It never writes
// over a file: if one of the four is there, nothing is written.
func MakeLab(dir string, hosts []string, now time.Time) error {
	if len(hosts) == 0 {
		return errors.New("no host to make a certificate for")
	}
	files, err := lab(hosts, now)
	if err != nil {
		return fmt.Errorf("make certificates: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for i, f := range files {
		if err := create(filepath.Join(dir, f.name), f.content, f.mode); err != nil {
			for _, made := range files[:i] {
				err = errors.Join(err, os.Remove(filepath.Join(dir, made.name)))
			}
			return err
		}
	}
	return nil
}

type file struct {
	name    string
	content []byte
	mode    os.FileMode
}

// lab makes the contents of the files.
func lab(hosts []string, now time.Time) ([]file, error) {
	ca := &x509.Certificate{
		Subject:   pkix.Name{Organization: []string{"Network Alert Hub"}, CommonName: "Lab authority of " + now.UTC().Format(time.DateTime)},
		NotBefore: now.Add(-clockSkew), NotAfter: now.Add(caLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	caKey, caKeyPEM, err := newKey()
	if err != nil {
		return nil, err
	}
	caPEM, err := sign(ca, ca, caKey, caKey)
	if err != nil {
		return nil, err
	}
	leaf := &x509.Certificate{
		Subject:   pkix.Name{Organization: []string{"Network Alert Hub"}, CommonName: hosts[0]},
		NotBefore: now.Add(-clockSkew), NotAfter: now.Add(certLife - clockSkew),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, host)
		}
	}
	key, keyPEM, err := newKey()
	if err != nil {
		return nil, err
	}
	certPEM, err := sign(leaf, ca, key, caKey)
	if err != nil {
		return nil, err
	}
	return []file{{CAFile, caPEM, 0o644}, {CAKeyFile, caKeyPEM, 0o600}, {CertFile, certPEM, 0o644}, {KeyFile, keyPEM, 0o600}}, nil
}

func newKey() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

// sign makes the certificate of key as PEM.
func sign(c, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	c.SerialNumber = serial.Add(serial, big.NewInt(1))
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), parentKey)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), err
}

// create writes a file that is not there, whole and synced, or not at all.
func create(path string, content []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}
