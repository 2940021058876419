package models

import (
	"fmt"
	"net/netip"
	"strings"
)

// Networks are ranges of IP addresses. The zero value has none in it.
type Networks []netip.Prefix

// NoNetworks is how an empty list of networks is written.
const NoNetworks = "none"

// ParseNetwork reads one network, such as 10.1.0.0/16, or address.
func ParseNetwork(text string) (netip.Prefix, error) {
	network, err := netip.ParsePrefix(text)
	if address, addressErr := netip.ParseAddr(text); addressErr == nil {
		network, err = netip.PrefixFrom(address, address.BitLen()), nil
	}
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is not a network such as 10.1.0.0/16", text)
	}
	if address := network.Addr(); address.Is4In6() && network.Bits() >= 96 {
		network = netip.PrefixFrom(address.Unmap(), network.Bits()-96)
	}
	return network.Masked(), nil
}

// ParseNetworks reads comma-separated networks and addresses, or "none". Its
// error says what is wrong with the first wrong one.
func ParseNetworks(text string) (Networks, error) {
	if strings.TrimSpace(text) == NoNetworks {
		return nil, nil
	}
	var list Networks
	for part := range strings.SplitSeq(text, ",") {
		network, err := ParseNetwork(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		list = append(list, network)
	}
	return list, nil
}

// Contain reports whether an address is in any of the networks. What is no
// address is in none.
func (n Networks) Contain(address string) bool {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	ip = ip.Unmap().WithZone("")
	for _, network := range n {
		if network.Contains(ip) {
			return true
		}
	}
	return false
}

// String writes n as ParseNetworks reads it.
func (n Networks) String() string {
	if len(n) == 0 {
		return NoNetworks
	}
	texts := make([]string, len(n))
	for i, network := range n {
		texts[i] = network.String()
	}
	return strings.Join(texts, ",")
}
