package handlers

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/labstack/echo/v4"
)

// hosts are the names by which the hub may be asked. A page of another name
// whose owner has it resolve to the hub (DNS rebinding) is of the hub's own
// origin to a browser; only the Host header still tells them apart. Addresses
// and localhost are always the hub's: no foreign DNS answers for them.
type hosts struct {
	names    map[string]bool
	suffixes []string // with the dot that they begin with
}

// newHosts takes names; one that begins with "*." stands for those below it.
func newHosts(names []string) hosts {
	h := hosts{names: map[string]bool{"localhost": true}, suffixes: []string{".localhost"}}
	for _, name := range names {
		name = strings.TrimSuffix(strings.ToLower(name), ".")
		if suffix, wild := strings.CutPrefix(name, "*"); wild {
			h.suffixes = append(h.suffixes, suffix)
		} else if name != "" {
			h.names[name] = true
		}
	}
	return h
}

// has reports whether a Host header (RFC 9110 section 7.2) names the hub.
func (h hosts) has(header string) bool {
	if bracketed, v6 := strings.CutPrefix(header, "["); v6 {
		literal, port, closed := strings.Cut(bracketed, "]")
		addr, err := netip.ParseAddr(literal)
		return closed && err == nil && addr.Is6() && (port == "" || port[0] == ':' && isPort(port[1:]))
	}
	name, port, _ := strings.Cut(header, ":")
	if !isPort(port) {
		return false
	}
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if _, err := netip.ParseAddr(name); err == nil || h.names[name] {
		return true
	}
	for _, suffix := range h.suffixes {
		if below, ok := strings.CutSuffix(name, suffix); ok && below != "" && !strings.HasSuffix(below, ".") {
			return true
		}
	}
	return false
}

// isPort takes any number, and none: which port is asked the listener decides.
func isPort(port string) bool { return len(port) <= 5 && strings.Trim(port, "0123456789") == "" }

// ownHost refuses requests for another host. There are no exceptions: probes
// and scrapers that ask by address pass.
func (h hosts) ownHost(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if host := c.Request().Host; !h.has(host) {
			return fmt.Errorf("host %q: %w", host, refuse(wrongHost))
		}
		return next(c)
	}
}
