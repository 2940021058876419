package main

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// hostNames are names that a Host header can have, and those with a star.
var hostNames = regexp.MustCompile(`^(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?$`)

// hosts returns comma-separated host names. Addresses pass without a setting.
func (c *checker) hosts(name, value string) (list []string) {
	for host := range strings.SplitSeq(value, ",") {
		host = strings.TrimSpace(host)
		if _, err := netip.ParseAddr(host); host == "" || err == nil {
			continue
		}
		if !hostNames.MatchString(host) {
			c.bad(name, "%q is not a name such as alerts.example.net or *.example.net, without scheme and port", host)
			continue
		}
		list = append(list, strings.ToLower(host))
	}
	return list
}

// hosts are the names by which browsers and programs may ask the hub, on a
// machine that calls itself machine: what the settings name, and the machine's
// name in full, in short, and in the network without a name server (RFC 6762).
func (s Settings) hosts(machine string) []string {
	list := append([]string(nil), s.AllowedHosts...)
	if s.ACME.Domain != "" {
		list = append(list, s.ACME.Domain)
	}
	if u, err := url.Parse(s.PublicURL); err == nil && u.Hostname() != "" {
		list = append(list, u.Hostname())
	}
	for _, addr := range []string{s.HTTPAddr, s.FeedAddr} {
		if host, _, err := net.SplitHostPort(addr); err == nil && host != "" {
			list = append(list, host)
		}
	}
	if short, _, _ := strings.Cut(machine, "."); short != "" {
		list = append(list, machine, short, short+".local")
	}
	return list
}
