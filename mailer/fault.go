package mailer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"time"
	"unicode"
)

// fault is why an attempt did not deliver, and whom it concerns.
type fault struct {
	server    bool   // the server, and so every mail; otherwise this message alone
	permanent bool   // of a message: trying again cannot help
	words     string // for people: the stage, and the server's code and words
}

// Error returns the words.
func (f *fault) Error() string { return f.words }

// maxWords bounds what is stored of a server's words, in characters.
const maxWords = 300

// tidy makes one bounded line of valid UTF-8 of what came from a server.
func tidy(s string) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\uFFFD"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	if r := []rune(s); len(r) > maxWords {
		return string(r[:maxWords]) + "…"
	}
	return s
}

// newFault classes err, met at stage of a session. While the session comes up
// everything is the server's; afterwards it is the message's, for good when
// the server said 5xx (RFC 5321, section 4.2.1). The end of the process is
// nobody's fault and comes back as the context's error.
func newFault(ctx context.Context, up bool, stage string, limit time.Duration, err error) error {
	f := &fault{server: !up}
	var reply *textproto.Error
	var op *net.OpError
	var timeout net.Error
	switch {
	case errors.As(err, &reply):
		f.permanent = up && reply.Code >= 500 && reply.Code <= 599
		f.words = fmt.Sprintf("%03d %s", reply.Code, reply.Msg)
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("%s: %w", stage, ctx.Err())
	case ctx.Err() != nil, errors.As(err, &timeout) && timeout.Timeout():
		f.words = fmt.Sprintf("no answer within %v", limit)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		f.words = "the server closed the connection"
	case errors.As(err, &op) && op.Op != "dial":
		// Without the ports of this one connection, the same fault reads the same.
		f.words = op.Err.Error()
	default:
		f.words = err.Error()
		if cause := errors.Unwrap(err); cause != nil && strings.HasPrefix(f.words, "Mail Error on ") {
			f.words = cause.Error() // the library's stages are coarser than ours
		}
	}
	f.words = stage + ": " + f.words
	return f
}
