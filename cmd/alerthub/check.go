package main

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"alerthub/models"
	"alerthub/routes"
	"alerthub/webhook"
)

// checker collects problems while settings are read.
type checker struct{ problems []string }

func (c *checker) bad(name, format string, args ...any) {
	c.problems = append(c.problems, name+": "+fmt.Sprintf(format, args...))
}

func (c *checker) addr(name, value string) string {
	_, port, err := net.SplitHostPort(value)
	if err != nil {
		c.bad(name, "%q is not HOST:PORT", value)
		return value
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		c.bad(name, "port %q is not a number from 0 to 65535", port)
	}
	return value
}

// browserAddr is addr for what browsers connect to.
func (c *checker) browserAddr(name, value string) string {
	value = c.addr(name, value)
	if _, port, err := net.SplitHostPort(value); err == nil {
		if n, err := strconv.Atoi(port); err == nil && slices.Contains(browserBlockedPorts, n) {
			c.bad(name, "browsers refuse to connect to port %d (ERR_UNSAFE_PORT); choose another", n)
		}
	}
	return value
}

// distinct complains about two listeners on one address.
func (c *checker) distinct(addrs map[string]string) {
	seen := make(map[string]string)
	for _, name := range []string{"--http-addr", "--tcp-addr", "--feed-addr"} {
		addr := addrs[name]
		if strings.HasSuffix(addr, ":0") {
			continue
		}
		if other, ok := seen[addr]; ok {
			c.bad(name, "%s is already %s", addr, other)
		}
		seen[addr] = name
	}
}

func (c *checker) integer(name, value string, lowest, highest int) int {
	n, err := strconv.Atoi(value)
	if err != nil || n < lowest || n > highest {
		c.bad(name, "%q is not a number from %d to %d", value, lowest, highest)
	}
	return n
}

func (c *checker) duration(name, value string) time.Duration {
	d, err := time.ParseDuration(value)
	if err != nil || d <= 0 {
		c.bad(name, "%q is not a duration such as 30s, 15m or 24h", value)
	}
	return d
}

// publicURL returns the base of links to the panel.
func (c *checker) publicURL(name, value string) string {
	if value == "" {
		return ""
	}
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		c.bad(name, "%q is not an address such as https://alerts.example.net", value)
	}
	return strings.TrimRight(value, "/")
}

// networks returns comma-separated networks and addresses.
func (c *checker) networks(name, value string) (list []netip.Prefix) {
	for text := range strings.SplitSeq(value, ",") {
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		network, err := models.ParseNetwork(text)
		if err != nil {
			c.bad(name, "%v", err)
			continue
		}
		list = append(list, network)
	}
	return list
}

// proxies returns networks of proxies. All of a protocol's addresses are none:
// then everybody could claim any address.
func (c *checker) proxies(name, value string) []netip.Prefix {
	list := c.networks(name, value)
	for _, network := range list {
		if network.Bits() == 0 {
			c.bad(name, "%s is everybody; name the proxies", network)
		}
	}
	return list
}

// mailAddress returns the bare address of value, "" for "".
func (c *checker) mailAddress(name, value string) string {
	if value == "" {
		return ""
	}
	a, err := mail.ParseAddress(value)
	if err != nil {
		c.bad(name, "%q is not an email address", value)
		return ""
	}
	return a.Address
}

// routes reads a routes file; nil if anything is wrong with it. Relative names
// in it are those of files beside it.
func (c *checker) routes(name, file string, env routes.Env) *routes.Rules {
	content, err := os.ReadFile(file)
	if err != nil {
		c.bad(name, "%s cannot be read: %v", file, errors.Unwrap(err))
		return nil
	}
	env.ReadFile = func(name string) ([]byte, error) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(file), name)
		}
		return os.ReadFile(name)
	}
	env.CheckWebhook = webhook.Check
	rules, mistakes := routes.Parse(content, env)
	for _, m := range mistakes {
		c.bad(name, "%s, %s", file, m)
	}
	return rules
}

// browserBlockedPorts are the ports above which no page opens:
// https://fetch.spec.whatwg.org/#port-blocking
var browserBlockedPorts = []int{
	1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95,
	101, 102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179,
	389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601,
	636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566,
	6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
}
