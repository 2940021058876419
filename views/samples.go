package views

import (
	"net"
	"strconv"
)

// tcpSample is a command line that sends an event over TCP.
func tcpSample(s Samples) string {
	return `printf '%s\n' '{"source":"sensor-a","severity":"info","message":"Heartbeat OK"}' | nc ` +
		s.Host + " " + strconv.Itoa(s.TCPPort)
}

// httpSample is a command line that sends an event over HTTP.
func httpSample(s Samples) string {
	return `curl -d '{"source":"sensor-a","severity":"info","message":"Heartbeat OK"}' http://` +
		net.JoinHostPort(s.Host, strconv.Itoa(s.HTTPPort)) + "/api/events"
}
