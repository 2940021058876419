package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// The files of a lab.
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
// names and IP addresses, in dir, which it makes if need be. An authority that
// is there already makes the certificate. It never writes over a file: if one
// is in the way, nothing is written.
func MakeLab(dir string, hosts []string, now time.Time) error {
	if len(hosts) == 0 {
		return errors.New("no host to make a certificate for")
	}
	leaf := newLeaf(hosts[0], x509.ExtKeyUsageServerAuth, now)
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, host)
		}
	}
	return issue(dir, leaf, CertFile, KeyFile, now)
}

// ClientFiles are the names of the files that MakeClient writes for a device.
func ClientFiles(name string) (cert, key string) {
	return "client-" + name + ".pem", "client-" + name + "-key.pem"
}

// MakeClient makes a certificate by which a device proves its name, under the
// rules of MakeLab. The name must be one that a file can have.
func MakeClient(dir, name string, now time.Time) error {
	if name == "" || name != filepath.Base(name) || name == "." || name == ".." {
		return fmt.Errorf("%q cannot be the name of a device's files", name)
	}
	leaf := newLeaf(name, x509.ExtKeyUsageClientAuth, now)
	leaf.DNSNames = []string{name}
	cert, key := ClientFiles(name)
	return issue(dir, leaf, cert, key, now)
}

func newLeaf(name string, usage x509.ExtKeyUsage, now time.Time) *x509.Certificate {
	return &x509.Certificate{
		Subject:   pkix.Name{Organization: []string{"Network Alert Hub"}, CommonName: name},
		NotBefore: now.Add(-clockSkew), NotAfter: now.Add(certLife - clockSkew),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}
}

// issue has the authority of dir sign leaf, and writes all files that are new.
func issue(dir string, leaf *x509.Certificate, certName, keyName string, now time.Time) error {
	ca, caKey, files, err := authority(dir, now)
	if err != nil {
		return fmt.Errorf("make certificates: %w", err)
	}
	key, keyPEM, err := newKey()
	if err != nil {
		return fmt.Errorf("make certificates: %w", err)
	}
	certPEM, err := sign(leaf, ca, key, caKey)
	if err != nil {
		return fmt.Errorf("make certificates: %w", err)
	}
	files = append(files, file{certName, certPEM, 0o644}, file{keyName, keyPEM, 0o600})
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

// authority is that of dir, or a new one with its files.
func authority(dir string, now time.Time) (*x509.Certificate, *ecdsa.PrivateKey, []file, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, CAFile), filepath.Join(dir, CAKeyFile))
	if err == nil {
		key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
		if !ok || !pair.Leaf.IsCA {
			return nil, nil, nil, fmt.Errorf("%s in %s is no authority of a lab", CAFile, dir)
		}
		return pair.Leaf, key, nil, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil, err
	}
	ca := &x509.Certificate{
		Subject:   pkix.Name{Organization: []string{"Network Alert Hub"}, CommonName: "Lab authority of " + now.UTC().Format(time.DateTime)},
		NotBefore: now.Add(-clockSkew), NotAfter: now.Add(caLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	key, keyPEM, err := newKey()
	if err != nil {
		return nil, nil, nil, err
	}
	caPEM, err := sign(ca, ca, key, key)
	return ca, key, []file{{CAFile, caPEM, 0o644}, {CAKeyFile, keyPEM, 0o600}}, err
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
