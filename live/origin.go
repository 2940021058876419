package live

import (
	"net"
	"net/http"
	"net/url"
	"strings"
)

// sameOrigin lets in programs, which send no Origin, and pages of this very
// host and port: a browser sends cookies along with any site's websocket, so
// this check is what keeps other sites out (RFC 6455 section 10.2).
func sameOrigin(r *http.Request) bool {
	origin, sent := originHost(r)
	return !sent || origin != "" && strings.EqualFold(origin, r.Host)
}

// sameHost is sameOrigin with any port: the feed listens on a port of its own,
// and a page of the panel, or one that the operator serves beside it, reads it
// across that border.
func sameHost(r *http.Request) bool {
	origin, sent := originHost(r)
	return !sent || origin != "" && strings.EqualFold(hostName(origin), hostName(r.Host))
}

// originHost is the host and port of the Origin header; "" when that is
// "null" or no address of a web page, which is nobody's host.
func originHost(r *http.Request) (host string, sent bool) {
	values := r.Header.Values("Origin")
	if len(values) == 0 {
		return "", false
	}
	u, err := url.Parse(values[0])
	if err != nil || len(values) > 1 || (u.Scheme != "http" && u.Scheme != "https") {
		return "", true
	}
	return u.Host, true
}

func hostName(hostPort string) string {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		host = hostPort
	}
	return strings.TrimSuffix(strings.Trim(host, "[]"), ".")
}
