package handlers

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"alerthub/models"
	"alerthub/views"
	"alerthub/wire"
)

// noCanaries stands for a hub that sends none.
type noCanaries struct{}

// CanaryState is empty.
func (noCanaries) CanaryState() models.CanaryState { return models.CanaryState{} }

// SendCanary sends none.
func (noCanaries) SendCanary() (models.Canary, error) {
	return models.Canary{}, fmt.Errorf("no canaries: %w", models.ErrNotFound)
}

// canaryRoutes registers what people do with canaries.
func (h *Handler) canaryRoutes() []route {
	return []route{
		{http.MethodGet, "/canary", models.PermitRead, h.getCanaryLine},
		{http.MethodPost, "/canary", models.PermitOperate, h.postCanaryForm},
	}
}

func (h *Handler) getCanary(c echo.Context) error {
	return answer(c, wire.FromCanaryState(h.canaries.CanaryState()))
}

// postCanary has a canary sent. It does not wait for its outcome.
func (h *Handler) postCanary(c echo.Context) error {
	canary, err := h.canaries.SendCanary()
	if err != nil {
		return err
	}
	h.record(c, "", models.AuditCanary, "", "")
	return answerJSON(c, http.StatusAccepted, echo.MIMEApplicationJSON, wire.FromCanary(canary))
}

// postCanaryForm has one sent and leads back; one that is under way is shown
// there.
func (h *Handler) postCanaryForm(c echo.Context) error {
	if err := parseForm(c); err != nil {
		return err
	}
	if _, err := h.canaries.SendCanary(); err == nil {
		h.record(c, nameOf(c), models.AuditCanary, "", "")
	} else if !errors.Is(err, models.ErrCanaryRunning) {
		return err
	}
	next := "/"
	if from, ok := cameFrom(c.Request().Referer(), c.Request().Host); ok && !isAction(from) {
		next = from
	}
	return c.Redirect(http.StatusSeeOther, next)
}

// getCanaryLine answers the dashboard's line alone; without htmx it leads there.
func (h *Handler) getCanaryLine(c echo.Context) error {
	if !isFragment(c) {
		return c.Redirect(http.StatusSeeOther, "/")
	}
	return render(reader(c), c, http.StatusOK, views.CanaryLine(h.canaries.CanaryState()))
}
