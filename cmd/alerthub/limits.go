package main

import (
	"net/netip"
	"slices"
	"strings"

	"alerthub/limits"
	"alerthub/models"
	"alerthub/tcpingest"
)

// limitFlags are the settings of what one sender may take.
type limitFlags struct {
	LimitSource string `name:"limit-source" env:"ALERTHUB_LIMIT_SOURCE" default:"5000/10000" group:"limits" placeholder:"RATE/BURST" help:"Events with one source. Default ${default}."`
	LimitPeer   string `name:"limit-peer" env:"ALERTHUB_LIMIT_PEER" default:"10000/20000" group:"limits" placeholder:"RATE/BURST" help:"Events from one address; an IPv6 network of 64 bits is one. Default ${default}."`
	LimitKey    string `name:"limit-key" env:"ALERTHUB_LIMIT_KEY" default:"10000/20000" group:"limits" placeholder:"RATE/BURST" help:"Events reported with one key. Default ${default}."`

	TCPPerAddress   string `name:"tcp-max-connections-per-address" env:"ALERTHUB_TCP_MAX_CONNECTIONS_PER_ADDRESS" default:"256" group:"limits" placeholder:"N" help:"TCP connections of one address; 0 is no limit. Default ${default}."`
	HTTPConnections string `name:"http-max-connections" env:"ALERTHUB_HTTP_MAX_CONNECTIONS" default:"4096" group:"limits" placeholder:"N" help:"Connections of panel, API and feed together, websockets among them. Default ${default}."`
	HTTPPerAddress  string `name:"http-max-connections-per-address" env:"ALERTHUB_HTTP_MAX_CONNECTIONS_PER_ADDRESS" default:"256" group:"limits" placeholder:"N" help:"Those of one address; 0 is no limit. Default ${default}."`

	SharedAddresses string `name:"shared-addresses" env:"ALERTHUB_SHARED_ADDRESSES" default:"127.0.0.1,::1" group:"limits" placeholder:"NETWORK,..." help:"Addresses with many senders behind them (a relay, a tunnel, a proxy): what limits one address does not hold for them. Default ${default}."`
}

// LimitSettings are the limits as set. A process that may open few files
// allows fewer connections; see App.intakeLimits.
type LimitSettings struct {
	Source, Peer, Key models.Rate

	TCPPerAddress                   int
	HTTPConnections, HTTPPerAddress int

	Shared []netip.Prefix // addresses without limits of their own
}

func (f *limitFlags) resolve(ck *checker) LimitSettings {
	return LimitSettings{
		Source: ck.rate("--limit-source", f.LimitSource),
		Peer:   ck.rate("--limit-peer", f.LimitPeer),
		Key:    ck.rate("--limit-key", f.LimitKey),

		TCPPerAddress:   ck.integer("--tcp-max-connections-per-address", f.TCPPerAddress, 0, 1_000_000),
		HTTPConnections: ck.integer("--http-max-connections", f.HTTPConnections, 1, 1_000_000),
		HTTPPerAddress:  ck.integer("--http-max-connections-per-address", f.HTTPPerAddress, 0, 1_000_000),

		Shared: ck.networks("--shared-addresses", f.SharedAddresses),
	}
}

// rate reads RATE/BURST; 0 is no limit.
func (c *checker) rate(name, value string) models.Rate {
	if value == "0" {
		return models.Rate{}
	}
	perSecond, burst, both := strings.Cut(value, "/")
	if !both {
		c.bad(name, "%q is neither RATE/BURST, such as 200/2000, nor 0", value)
		return models.Rate{}
	}
	const most = 1_000_000_000
	return models.Rate{PerSecond: c.integer(name, perSecond, 1, most), Burst: c.integer(name, burst, 1, most)}
}

func (a *App) newLimits() *limits.Limits {
	s := a.settings.Limits
	return limits.New(limits.Config{Source: s.Source, Peer: s.Peer, Key: s.Key, Shared: s.Shared, Logger: a.logger.With("room", "limits")})
}

// intakeLimits are the limits that hold, as they are shown.
func (a *App) intakeLimits() models.IntakeLimits {
	s := a.settings.Limits
	// Half of the files that devices cannot take; the other half is for the
	// databases, for mail and for webhooks.
	devices, others := tcpingest.Descriptors()
	return models.IntakeLimits{
		Source: s.Source, Peer: s.Peer, Key: s.Key,
		TCPConnections: min(a.settings.TCPMaxConnections, devices), TCPPerAddress: s.TCPPerAddress,
		HTTPConnections: min(s.HTTPConnections, max(others/2, 1)), HTTPPerAddress: s.HTTPPerAddress,
	}
}

// webCaps bounds the connections of panel and feed, which share it.
func (a *App) webCaps() *limits.Connections {
	most := a.intakeLimits()
	shared := slices.Concat(a.settings.Limits.Shared, a.settings.TrustedProxies) // whose connections are other people's
	return limits.NewConnections(limits.Caps{Total: most.HTTPConnections, PerAddress: most.HTTPPerAddress, Shared: shared})
}
