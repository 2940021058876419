package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"time"

	"alerthub/certs"
)

// certCmd makes certificates for a lab, where nobody else does.
type certCmd struct {
	Dir    string   `name:"dir" required:"" placeholder:"DIR" help:"Where the files are written; it is made if need be. Files that are there are never written over; an authority that is there is used."`
	Client string   `name:"client" placeholder:"NAME" help:"Make a certificate for a device instead, by which it proves that it is the source of that name."`
	Hosts  []string `arg:"" optional:"" name:"host" help:"Names and IP addresses by which the hub is reached."`
}

// Validate tells a wrong command line before anything is written.
func (c *certCmd) Validate() error {
	switch {
	case (c.Client == "") == (len(c.Hosts) == 0):
		return errors.New("give the names of the hub, or --client with the name of a device")
	case c.Client != "" && !certNames.MatchString(c.Client):
		return fmt.Errorf("--client: %q is not a name such as core-rtr-mad-01, of at most 64 letters, digits, dots, hyphens and underscores", c.Client)
	}
	for _, host := range c.Hosts {
		if net.ParseIP(host) == nil && !hostNames.MatchString(host) {
			return fmt.Errorf("%q is neither an IP address nor a name such as alerts.example.net, without scheme and port", host)
		}
	}
	return nil
}

// certNames are what a certificate can name (RFC 5280: 64 characters), and a
// file too.
var certNames = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$`)

func (c *certCmd) run(stdout io.Writer) error {
	if c.Client != "" {
		return c.runClient(stdout)
	}
	if err := certs.MakeLab(c.Dir, c.Hosts, time.Now()); err != nil {
		return err
	}
	out := printer{w: stdout}
	cert, key, ca := filepath.Join(c.Dir, certs.CertFile), filepath.Join(c.Dir, certs.KeyFile), filepath.Join(c.Dir, certs.CAFile)
	out.line("made %s, %s, %s, %s", ca, filepath.Join(c.Dir, certs.CAKeyFile), cert, key)
	out.line("start the hub with: --tls-cert %s --tls-key %s --tcp-tls-cert %s --tcp-tls-key %s", cert, key, cert, key)
	out.line("have its clients trust %s, and keep the keys to yourself", ca)
	return out.err
}

func (c *certCmd) runClient(stdout io.Writer) error {
	if err := certs.MakeClient(c.Dir, c.Client, time.Now()); err != nil {
		return err
	}
	out := printer{w: stdout}
	cert, key := certs.ClientFiles(c.Client)
	cert, key = filepath.Join(c.Dir, cert), filepath.Join(c.Dir, key)
	out.line("made %s, %s", cert, key)
	out.line("start the hub with: --tcp-client-ca %s", filepath.Join(c.Dir, certs.CAFile))
	out.line("the device shows them: alerthub send --client-cert %s --client-key %s", cert, key)
	return out.err
}
