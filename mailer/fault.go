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

	"alerthub/models"
)

// newFault classes err, met at stage of a session. While the session comes up
// everything is the server's; afterwards it is the message's, for good when
// the server said 5xx (RFC 5321, section 4.2.1). The end of the process is
// nobody's fault and comes back as the context's error.
func newFault(ctx context.Context, up bool, stage string, limit time.Duration, err error) error {
	f := &models.Fault{Server: !up}
	var reply *textproto.Error
	var op *net.OpError
	var timeout net.Error
	switch {
	case errors.As(err, &reply):
		f.Permanent = up && reply.Code >= 500 && reply.Code <= 599
		f.Words = fmt.Sprintf("%03d %s", reply.Code, reply.Msg)
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("%s: %w", stage, ctx.Err())
	case ctx.Err() != nil, errors.As(err, &timeout) && timeout.Timeout():
		f.Words = fmt.Sprintf("no answer within %v", limit)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		f.Words = "the server closed the connection"
	case errors.As(err, &op) && op.Op != "dial":
		// Without the ports of this one connection, the same fault reads the same.
		f.Words = op.Err.Error()
	default:
		f.Words = err.Error()
		if cause := errors.Unwrap(err); cause != nil && strings.HasPrefix(f.Words, "Mail Error on ") {
			f.Words = cause.Error() // the library's stages are coarser than ours
		}
	}
	f.Words = stage + ": " + f.Words
	return f
}
