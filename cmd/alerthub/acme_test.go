package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"alerthub/certs"
)

func TestResolve_ACME(t *testing.T) {
	s, err := resolve(t, nil, "--acme-domain", "alerts.example.net.")
	want := ACMESettings{Domain: "alerts.example.net", Directory: certs.LetsEncrypt}
	if diff := cmp.Diff(want, s.ACME); err != nil || diff != "" {
		t.Errorf("%v; settings (-want +got):\n%s", err, diff)
	}
	if hosts := s.hosts("machine"); !strings.Contains(strings.Join(hosts, " "), "alerts.example.net") {
		t.Errorf("the hub answers to %v", hosts)
	}
	lab := labFiles(t)
	ca, cert, key := filepath.Join(lab, certs.CAFile), filepath.Join(lab, certs.CertFile), filepath.Join(lab, certs.KeyFile)
	s, err = resolve(t, nil, "--acme-domain", "alerts.example.net", "--acme-ca", ca, "--acme-directory", "https://ca.example.net:14000/dir", "--acme-email", "NOC <noc@example.net>")
	if err != nil || s.ACME.Roots == nil || s.ACME.Directory != "https://ca.example.net:14000/dir" || s.ACME.Email != "noc@example.net" {
		t.Errorf("%+v, %v", s.ACME, err)
	}
	domain := []string{"--acme-domain", "alerts.example.net"}
	for name, tt := range map[string]struct{ args, want []string }{
		"two certificates":       {append(domain, "--tls-cert", cert, "--tls-key", key), []string{"--acme-domain: cannot be given with --tls-cert"}},
		"no domain":              {[]string{"--acme-email", "noc@example.net", "--acme-directory", "https://ca/", "--acme-ca", ca}, []string{"--acme-email: means nothing", "--acme-directory: means nothing", "--acme-ca: means nothing"}},
		"an address":             {[]string{"--acme-domain", "192.0.2.7"}, []string{"--acme-domain: "}},
		"a star":                 {[]string{"--acme-domain", "*.example.net"}, []string{"--acme-domain: "}},
		"a name of this house":   {[]string{"--acme-domain", "hub"}, []string{"--acme-domain: "}},
		"a URL":                  {[]string{"--acme-domain", "https://alerts.example.net"}, []string{"--acme-domain: "}},
		"wrong all over":         {append(domain, "--acme-email", "noc", "--acme-directory", "http://ca.example.net/", "--acme-ca", "/nowhere/ca.pem"), []string{"--acme-email: ", "--acme-directory: ", "--acme-ca: /nowhere/ca.pem cannot be read"}},
		"a key for an authority": {append(domain, "--acme-ca", key), []string{"--acme-ca: ", "holds no PEM certificate"}},
	} {
		t.Run(name, func(t *testing.T) {
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
