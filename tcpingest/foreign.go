package tcpingest

import (
	"bytes"
	"fmt"
)

// tlsAnswer is what a TLS client gets. It is not TLS, on purpose: every TLS
// library then reports that the port speaks plain text, while an alert would
// send people looking for a version or a cipher.
const tlsAnswer = `{"ok":false,"error":"invalid_json","hint":"this port speaks plain TCP, not TLS"}` + "\n"

// httpAnswer is what an HTTP client gets; port is where HTTP is spoken, 0 if
// that is not known.
func httpAnswer(port int) []byte {
	text := "This port takes one JSON object a line over TCP, not HTTP."
	if port > 0 {
		text += fmt.Sprintf(" The panel and the REST API are on port %d.", port)
	}
	return fmt.Appendf(nil, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"+
		"Content-Length: %d\r\nConnection: close\r\n\r\n%s\n", len(text)+1, text)
}

// openings are how streams begin that are not for this port. One method is
// enough to know HTTP by: the rest of a request line may be longer than any
// limit, and the lines after it are under the control of any web page that a
// browser behind the firewall opens. They must never be read as events.
var openings = []struct {
	bytes []byte
	err   error
}{
	{[]byte{0x16, 0x03}, errTLS}, // a handshake record, RFC 8446 section 5.1
	{[]byte("GET "), errHTTP},
	{[]byte("POST "), errHTTP},
	{[]byte("HEAD "), errHTTP},
	{[]byte("PUT "), errHTTP},
	{[]byte("PATCH "), errHTTP},
	{[]byte("DELETE "), errHTTP},
	{[]byte("OPTIONS "), errHTTP},
	{[]byte("CONNECT "), errHTTP},
	{[]byte("TRACE "), errHTTP},
	{[]byte("PRI * HTTP/2"), errHTTP},
}

// foreign looks at the first bytes of a stream. The error is errTLS or errHTTP
// when they are not for this port; undecided means that more bytes are needed.
func foreign(stream []byte) (undecided bool, err error) {
	for _, o := range openings {
		if bytes.HasPrefix(stream, o.bytes) {
			return false, o.err
		}
		undecided = undecided || bytes.HasPrefix(o.bytes, stream)
	}
	return undecided, nil
}
