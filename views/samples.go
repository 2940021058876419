package views

import (
	"net"
	"strconv"
)

// tcpSample is a command line that sends an event over TCP.
func tcpSample(s Samples) string {
	line := `printf '%s\n' '{"source":"sensor-a","severity":"info","message":"Heartbeat OK"}' | `
	if s.TCPTLS {
		return line + "openssl s_client -quiet -connect " + net.JoinHostPort(s.Host, strconv.Itoa(s.TCPPort))
	}
	return line + "nc " + s.Host + " " + strconv.Itoa(s.TCPPort)
}

// httpSample is a command line that sends an event over HTTP.
func httpSample(s Samples) string {
	scheme := "http"
	if s.HTTPS {
		scheme = "https"
	}
	return `curl -d '{"source":"sensor-a","severity":"info","message":"Heartbeat OK"}' ` + scheme + "://" +
		net.JoinHostPort(s.Host, strconv.Itoa(s.HTTPPort)) + "/api/events"
}
