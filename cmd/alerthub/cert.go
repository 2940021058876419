package main

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"time"

	"alerthub/certs"
)

// certCmd makes certificates for a lab, where nobody else does.
type certCmd struct {
	Dir   string   `name:"dir" required:"" placeholder:"DIR" help:"Where the files are written; it is made if need be. Files that are there are never written over."`
	Hosts []string `arg:"" name:"host" help:"Names and IP addresses by which the hub is reached."`
}

// Validate tells a wrong command line before anything is written.
func (c *certCmd) Validate() error {
	for _, host := range c.Hosts {
		if net.ParseIP(host) == nil && !hostNames.MatchString(host) {
			return fmt.Errorf("%q is neither an IP address nor a name such as alerts.example.net, without scheme and port", host)
		}
	}
	return nil
}

func (c *certCmd) run(stdout io.Writer) error {
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
