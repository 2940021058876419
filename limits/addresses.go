package limits

import "net/netip"

// networks are addresses for which limits of one address do not hold.
type networks []netip.Prefix

func (n networks) contain(addr netip.Addr) bool {
	for _, network := range n {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// ipv6Host is how much of an IPv6 address names a sender: whoever has one
// address usually has the other 2^64 of its network, too (RFC 6177).
const ipv6Host = 64

// addressOf reads a sender's address; false for what is none.
func addressOf(peer string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(peer)
	return addr.Unmap().WithZone(""), err == nil
}

// hostOf is what of an address names a sender: all of IPv4 and of loopback,
// the network of IPv6.
func hostOf(addr netip.Addr) netip.Addr {
	if addr.Is4() || addr.IsLoopback() {
		return addr
	}
	network, err := addr.Prefix(ipv6Host)
	if err != nil {
		return addr // has no network
	}
	return network.Addr()
}
