package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"alerthub/certs"
)

// acmeFlags are the settings of a certificate that the hub gets by itself.
type acmeFlags struct {
	ACMEDomain    string `name:"acme-domain" env:"ALERTHUB_ACME_DOMAIN" group:"tls" placeholder:"NAME" help:"Public name for which panel, API and feed get a certificate by ACME, in the place of --tls-cert. The authority connects to port 443 of it, which must lead to --http-addr. To set it is to agree to the authority's terms."`
	ACMEEmail     string `name:"acme-email" env:"ALERTHUB_ACME_EMAIL" group:"tls" placeholder:"ADDRESS" help:"Where the authority may write to."`
	ACMEDirectory string `name:"acme-directory" env:"ALERTHUB_ACME_DIRECTORY" group:"tls" placeholder:"URL" help:"The authority's ACME directory; that of Let's Encrypt by default."`
	ACMECA        string `name:"acme-ca" env:"ALERTHUB_ACME_CA" group:"tls" placeholder:"FILE" help:"PEM certificates to trust for that directory, besides the system's."`
}

// ACMESettings is whom to ask for the certificate of Domain; "" for nobody.
type ACMESettings struct {
	Domain, Email, Directory string

	Roots *x509.CertPool // nil for the system's
}

// resolve checks the settings; files are those of --tls-cert.
func (f *acmeFlags) resolve(ck *checker, files TLSFiles) ACMESettings {
	if f.ACMEDomain == "" {
		for _, other := range [][2]string{{"--acme-email", f.ACMEEmail}, {"--acme-directory", f.ACMEDirectory}, {"--acme-ca", f.ACMECA}} {
			if other[1] != "" {
				ck.bad(other[0], "means nothing without --acme-domain")
			}
		}
		return ACMESettings{}
	}
	if files != (TLSFiles{}) {
		ck.bad("--acme-domain", "cannot be given with --tls-cert and --tls-key: one of them shows the certificate")
	}
	if _, err := netip.ParseAddr(f.ACMEDomain); err == nil || !hostNames.MatchString(f.ACMEDomain) || !strings.Contains(strings.Trim(f.ACMEDomain, "."), ".") || f.ACMEDomain[0] == '*' {
		ck.bad("--acme-domain", "%q is not a public name such as alerts.example.net", f.ACMEDomain)
	}
	s := ACMESettings{
		Domain: strings.TrimSuffix(f.ACMEDomain, "."), Directory: certs.LetsEncrypt,
		Email: ck.mailAddress("--acme-email", f.ACMEEmail), Roots: ck.moreRoots("--acme-ca", f.ACMECA),
	}
	if f.ACMEDirectory != "" {
		s.Directory = f.ACMEDirectory
		if u, err := url.Parse(s.Directory); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
			ck.bad("--acme-directory", "%q is not an address such as https://ca.example.net/directory", s.Directory)
		}
	}
	return s
}

// moreRoots are the system's roots and those of a file; nil without one.
func (c *checker) moreRoots(name, file string) *x509.CertPool {
	if file == "" {
		return nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		c.bad(name, "%s cannot be read: %v", file, errors.Unwrap(err))
	} else if !roots.AppendCertsFromPEM(pem) {
		c.bad(name, "%s holds no PEM certificate", file)
	}
	return roots
}

// certificate is what a door shows.
type certificate interface {
	Config() *tls.Config
	Expires() time.Time // zero before there is one
}

// acmeCertificate is the certificate that the hub gets by itself, kept in the
// data directory.
func (a *App) acmeCertificate() *certs.ACME {
	s := a.settings.ACME
	return certs.NewACME(certs.ACMEConfig{
		Domain: s.Domain, Email: s.Email, Directory: s.Directory, Roots: s.Roots,
		Dir: filepath.Join(a.settings.DataDir, "acme"), Logger: a.logger.With("room", "certs"),
	})
}

// getCertificate has it got, once the door is open that it is proved at.
func (a *App) getCertificate() {
	if acme, ok := a.webCert.(*certs.ACME); ok {
		a.background("certificate", func(ctx context.Context) error { return acme.Run(ctx) }, nil)
	}
}
