package handlers

import (
	"net/url"

	"github.com/labstack/echo/v4"

	"alerthub/models"
	"alerthub/wire"
)

// Senders knows who sends events without a key.
type Senders interface {
	Senders() []models.AnonymousSender // the latest first
	// AnonymousNetworks are the addresses from which events are taken so.
	AnonymousNetworks() models.Networks
	// AnonymousSent notes events that came so.
	AnonymousSent(address, source string, events int)
}

// listSenders answers who sent without a key, and whom another setting of
// --anonymous would refuse.
func (h *Handler) listSenders(c echo.Context) error {
	values, err := url.ParseQuery(c.Request().URL.RawQuery)
	if err != nil {
		return refuse(invalidParameter, fieldError{"query", "must be well-formed (escape % as %25 and ; as %3B)"})
	}
	allowed := h.senders.AnonymousNetworks()
	if text := values.Get("anonymous"); text != "" {
		if allowed, err = models.ParseNetworks(text); err != nil {
			return refuse(invalidParameter, fieldError{"anonymous", "must be none, or networks such as 10.1.0.0/16,192.0.2.7"})
		}
	}
	senders := h.senders.Senders()
	list := make([]wire.Sender, len(senders))
	for i, s := range senders {
		list[i] = wire.FromSender(s, !allowed.Contain(s.Address))
	}
	return answer(c, struct {
		Anonymous string        `json:"anonymous"`
		Senders   []wire.Sender `json:"senders"`
	}{allowed.String(), list})
}
