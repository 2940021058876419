package limits

import (
	"net/netip"
	"sync"
)

// Caps bound open connections; 0 is no bound.
type Caps struct {
	Total, PerAddress int
	// Shared are addresses for which PerAddress does not hold.
	Shared []netip.Prefix
}

// Connections counts open connections. All methods may be called concurrently.
type Connections struct {
	caps   Caps
	shared networks

	mu     sync.Mutex
	open   int                // guarded by mu
	byHost map[netip.Addr]int // guarded by mu; without those of shared addresses
}

// NewConnections makes a count of none.
func NewConnections(caps Caps) *Connections {
	return &Connections{caps: caps, shared: caps.Shared, byHost: make(map[netip.Addr]int)}
}

// Enter counts a connection from peer, an IP address without port, unless it
// would be one too many. Every Enter that is true has its Leave.
func (c *Connections) Enter(peer string) bool {
	host, counted := c.host(peer)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.caps.Total > 0 && c.open >= c.caps.Total {
		return false
	}
	if counted {
		if c.byHost[host] >= c.caps.PerAddress {
			return false
		}
		c.byHost[host]++
	}
	c.open++
	return true
}

// Leave takes back one Enter of peer.
func (c *Connections) Leave(peer string) {
	host, counted := c.host(peer)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	if !counted {
		return
	}
	if c.byHost[host]--; c.byHost[host] == 0 {
		delete(c.byHost, host)
	}
}

// host is whose count peer belongs to; false for nobody's.
func (c *Connections) host(peer string) (netip.Addr, bool) {
	addr, ok := addressOf(peer)
	return hostOf(addr), ok && c.caps.PerAddress > 0 && !c.shared.contain(addr)
}
