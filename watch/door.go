package watch

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"alerthub/models"
)

const (
	// doorTimeout is how long a device would wait for its answer.
	doorTimeout = 10 * time.Second
	// maxAnswer bounds the line that is read.
	maxAnswer = 4 << 10
)

// knock sends c as a device does, and returns the event's id once it is
// acknowledged. The error is for people.
func (w *Watch) knock(ctx context.Context, c models.Canary) (id int64, err error) {
	key := newKey()
	line, err := json.Marshal(map[string]string{
		"source": models.SourceCanary, "severity": string(models.SeverityCritical), "message": message(c), "key": key,
	})
	if err != nil {
		return 0, err
	}
	ctx, done := context.WithTimeout(ctx, doorTimeout)
	defer done()
	w.key.Store(&key)
	defer w.key.Store(nil) // the alerts are made before the answer
	conn, err := w.cfg.Canary.Dial(ctx)
	if err != nil {
		return 0, fmt.Errorf("no connection: %w", plain(err))
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	said, answers := append(line, '\n'), bufio.NewReader(io.LimitReader(conn, maxAnswer))
	if token := w.cfg.Canary.Token; token != "" {
		said = fmt.Appendf(nil, "{\"token\":%q}\n%s", token, said)
	}
	if _, err := conn.Write(said); err != nil {
		return 0, fmt.Errorf("not sent: %w", plain(err))
	}
	if w.cfg.Canary.Token != "" {
		if _, err := hear(answers); err != nil {
			return 0, err
		}
	}
	text, err := hear(answers)
	if err == nil && text.EventID <= 0 {
		err = errors.New("answered without an event")
	}
	return text.EventID, err
}

// heard is an answer of the door.
type heard struct {
	OK      bool   `json:"ok"`
	EventID int64  `json:"event_id"`
	Error   string `json:"error"`
}

// hear reads an answer; the error is for people, of a refusal too.
func hear(answers *bufio.Reader) (answer heard, err error) {
	text, err := answers.ReadString('\n')
	if err != nil {
		return answer, fmt.Errorf("not acknowledged: %w", plain(err))
	}
	switch err := json.Unmarshal([]byte(text), &answer); {
	case err != nil:
		return answer, fmt.Errorf("answered %.100q", strings.TrimSpace(text))
	case !answer.OK:
		return answer, fmt.Errorf("refused: %s", short(answer.Error))
	}
	return answer, nil
}

// plain is an error of a connection without the addresses, which say nothing
// to people.
func plain(err error) error {
	var op *net.OpError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer within %v", doorTimeout)
	case errors.Is(err, io.EOF):
		return errors.New("the connection was closed")
	case errors.As(err, &op):
		return op.Err
	}
	return err
}
