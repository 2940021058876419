package webhook

import (
	"context"
	"fmt"
	"net/netip"
	"syscall"
)

// closed4 are the IPv4 addresses that are not of the public Internet, or not
// of one host of it (IANA IPv4 Special-Purpose Address Registry, RFC 6890).
var closed4 = prefixes(
	"0.0.0.0/8",       // this network; 0.0.0.0 reaches this host
	"10.0.0.0/8",      // private, RFC 1918
	"100.64.0.0/10",   // carrier-grade NAT, RFC 6598
	"127.0.0.0/8",     // loopback
	"169.254.0.0/16",  // link-local; clouds tell secrets there
	"172.16.0.0/12",   // private
	"192.0.0.0/24",    // protocol assignments
	"192.0.2.0/24",    // documentation
	"192.88.99.0/24",  // 6to4 relays
	"192.168.0.0/16",  // private
	"198.18.0.0/15",   // benchmarks
	"198.51.100.0/24", // documentation
	"203.0.113.0/24",  // documentation
	"224.0.0.0/4",     // multicast
	"240.0.0.0/4",     // reserved, and broadcast
)

// Of IPv6 only global unicast is open, but for these (IANA IPv6
// Special-Purpose Address Registry). Loopback, unspecified, link-local,
// site-local, unique local, multicast, IPv4-compatible and local NAT64
// (64:ff9b:1::/48) addresses are outside of it.
var (
	global6 = netip.MustParsePrefix("2000::/3")
	closed6 = prefixes(
		"2001::/23",     // protocol assignments: Teredo, benchmarks, ORCHID
		"2001:db8::/32", // documentation
		"2002::/16",     // 6to4, which may embed any IPv4 address
		"3fff::/20",     // documentation
	)
	// nat64 embeds an IPv4 address (RFC 6052). Where there is no other IPv4,
	// the whole public IPv4 Internet has such addresses.
	nat64 = netip.MustParsePrefix("64:ff9b::/96")
)

func prefixes(all ...string) []netip.Prefix {
	var list []netip.Prefix
	for _, p := range all {
		list = append(list, netip.MustParsePrefix(p))
	}
	return list
}

// guard decides to which addresses connections may go. It looks at the
// address of the connection itself: whatever a name resolves to, however an
// address is spelled, and when an answer of the DNS changes.
type guard struct{ allow []netip.Prefix }

func newGuard(allow []netip.Prefix) guard {
	var g guard
	for _, p := range allow {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		g.allow = append(g.allow, p)
	}
	return g
}

// refusal is the error of a connection that the guard forbids.
type refusal struct{ addr netip.Addr }

func (r *refusal) Error() string {
	return fmt.Sprintf("%s is not a public address; --webhook-allow names private targets", r.addr)
}

// control is a net.Dialer.ControlContext. It is asked once the socket is
// there and before anything is sent.
func (g guard) control(_ context.Context, network, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("address of %s: %w", network, err)
	}
	addr := ap.Addr().Unmap().WithZone("")
	if !g.open(addr) {
		return &refusal{addr}
	}
	return nil
}

// open reports whether connections may go to addr, unmapped and without zone.
func (g guard) open(addr netip.Addr) bool {
	if within(g.allow, addr) {
		return true
	}
	if addr.Is4() {
		return !within(closed4, addr)
	}
	if nat64.Contains(addr) {
		b := addr.As16()
		return g.open(netip.AddrFrom4([4]byte(b[12:])))
	}
	return global6.Contains(addr) && !within(closed6, addr)
}

func within(list []netip.Prefix, addr netip.Addr) bool {
	for _, p := range list {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
