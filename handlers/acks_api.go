package handlers

import (
	"bytes"
	"errors"
	"io"
	"net/http"

	"github.com/labstack/echo/v4"

	"alerthub/models"
	"alerthub/wire"
)

// postEventAck acknowledges one event and answers it. The word of the first
// stands: a repeat, by whomever, changes nothing.
func (h *Handler) postEventAck(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	by, err := readBy(c)
	if err != nil {
		return err
	}
	events, err := h.svc.Acknowledge(c.Request().Context(), []int64{id}, ackOf(c, by))
	if err != nil {
		return err
	}
	h.recordEvents(c, by, models.AuditAck, events)
	return h.answerEvent(c, id)
}

// deleteEventAck takes back that one event is taken care of.
func (h *Handler) deleteEventAck(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	events, err := h.svc.Unacknowledge(c.Request().Context(), []int64{id})
	if err != nil {
		return err
	}
	h.recordEvents(c, "", models.AuditUnack, events)
	return h.answerEvent(c, id)
}

// answerEvent answers an event as it is now stored: one that is unknown was
// left alone by the change, and is told here.
func (h *Handler) answerEvent(c echo.Context, id int64) error {
	event, err := h.svc.Event(c.Request().Context(), id)
	if err != nil {
		return err
	}
	return answer(c, wire.FromEvent(event))
}

// ackOf is the word of the person, or program, that makes this request; the
// hub adds the time.
func ackOf(c echo.Context, by string) models.Ack {
	return models.Ack{By: by, Verified: by == verifiedName(c), Peer: c.RealIP()}
}

// verifiedName is the name of the user or the key that asks, "" of others.
func verifiedName(c echo.Context) string {
	if actor := models.ActorOf(c.Request().Context()); actor.Kind == models.ActorUser || actor.Kind == models.ActorKey {
		return actor.Name
	}
	return ""
}

// readJSON reads the body of an action, which is one JSON object.
func readJSON(c echo.Context) ([]byte, error) {
	r := c.Request()
	if lines, err := isLines(r.Header.Get(echo.HeaderContentType)); err != nil || lines {
		return nil, refuse(unsupportedType)
	}
	return readBody(r)
}

// readBy is who acts: the user or the key that asks, else {"by":"name"}.
func readBy(c echo.Context) (string, error) {
	if name := verifiedName(c); name != "" {
		return name, nil
	}
	body, err := readJSON(c)
	if err != nil {
		return "", err
	}
	by, err := wire.DecodeAck(body)
	if err != nil {
		return "", err
	}
	return models.CleanName(by)
}

// readBody reads a body to its end and takes a byte order mark away.
func readBody(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		var tooLong *http.MaxBytesError
		if errors.As(err, &tooLong) {
			return nil, err
		}
		return nil, refuse(badRequest)
	}
	return bytes.TrimPrefix(body, []byte("\uFEFF")), nil
}
