package handlers

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/labstack/echo/v4"
)

// forwarded puts into a request what a trusted proxy says of it: who asked, by
// which name, and whether over TLS. It is the only reader of the X-Forwarded
// headers, before everything else, so that log, limits, host check, comparison
// of origins and cookies all see the same. Of others these headers mean
// nothing, whoever sends them.
func forwarded(trusted []netip.Prefix, next http.Handler) http.Handler {
	if len(trusted) == 0 {
		return next
	}
	// Echo's own idea of whom to trust is every private address.
	trust := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, network := range trusted {
		bits := network.Addr().BitLen()
		trust = append(trust, echo.TrustIPRange(&net.IPNet{IP: network.Addr().AsSlice(), Mask: net.CIDRMask(network.Bits(), bits)}))
	}
	clientOf := echo.ExtractIPFromXFFHeader(trust...)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isProxy(trusted, r.RemoteAddr) {
			scheme := said(r, echo.HeaderXForwardedProto)
			r = r.WithContext(context.WithValue(r.Context(), httpsKey{}, strings.EqualFold(scheme, "https") || scheme == "" && r.TLS != nil))
			r.RemoteAddr = net.JoinHostPort(clientOf(r), "0") // its port is not known
			if host := said(r, "X-Forwarded-Host"); host != "" {
				r.Host = host
			}
		}
		next.ServeHTTP(w, r)
	})
}

// isProxy reports whether remote, with its port, is one of trusted.
func isProxy(trusted []netip.Prefix, remote string) bool {
	peer, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	for _, network := range trusted {
		if network.Contains(peer.Addr().Unmap().WithZone("")) {
			return true
		}
	}
	return false
}

// said is what the nearest proxy says by a header: the last of its values, for
// those before it may come from the client.
func said(r *http.Request, header string) string {
	values := r.Header.Values(header)
	if len(values) == 0 {
		return ""
	}
	last := values[len(values)-1]
	return strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
}

type httpsKey struct{}

// overHTTPS reports whether the browser speaks TLS, to the hub or to a trusted
// proxy before it.
func overHTTPS(r *http.Request) bool {
	if encrypted, ok := r.Context().Value(httpsKey{}).(bool); ok {
		return encrypted
	}
	return r.TLS != nil
}
