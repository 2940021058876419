package handlers

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"alerthub/models"
	"alerthub/wire"
)

func (h *Handler) listUsers(c echo.Context) error {
	list := []wire.User{}
	for _, user := range h.access.Users() {
		list = append(list, wire.FromUser(user, len(h.access.Sessions(user.ID, 0))))
	}
	return answer(c, map[string][]wire.User{"users": list})
}

// readUser reads what is asked of a user.
func readUser(c echo.Context) (wire.UserChange, error) {
	body, err := readJSON(c)
	if err != nil {
		return wire.UserChange{}, err
	}
	return wire.DecodeUser(body)
}

// postUser adds a person.
func (h *Handler) postUser(c echo.Context) error {
	asked, err := readUser(c)
	if err != nil {
		return err
	}
	var role models.Role
	if asked.Role != nil {
		role = models.Role(*asked.Role)
	}
	var password string
	if asked.Password != nil {
		password = *asked.Password
	}
	user, err := h.access.AddUser(c.Request().Context(), asked.Name, password, role)
	if err != nil {
		return err
	}
	return answerJSON(c, http.StatusCreated, echo.MIMEApplicationJSON, wire.FromUser(user, 0))
}

// patchUser changes what the body names, one thing after the other.
func (h *Handler) patchUser(c echo.Context) error {
	user, err := h.person(c)
	if err != nil {
		return err
	}
	asked, err := readUser(c)
	if err != nil {
		return err
	}
	if (asked.Password != nil || asked.TwoFactor != nil) && own(c.Request().Context(), user) {
		return errOwn
	}
	if err := h.change(c.Request().Context(), user.Name, asked); err != nil {
		return err
	}
	if user, err = h.access.User(user.Name); err != nil {
		return err
	}
	return answer(c, wire.FromUser(user, len(h.access.Sessions(user.ID, 0))))
}

func (h *Handler) change(ctx context.Context, name string, asked wire.UserChange) error {
	if asked.TwoFactor != nil && *asked.TwoFactor {
		return &models.FieldError{Field: "two_factor", Reason: "is turned on by the person alone"}
	}
	if asked.Role != nil {
		if err := h.access.SetRole(ctx, name, models.Role(*asked.Role)); err != nil {
			return err
		}
	}
	if asked.Password != nil {
		if err := h.access.SetPassword(ctx, name, *asked.Password, 0); err != nil {
			return err
		}
	}
	if asked.TwoFactor != nil {
		if err := h.access.TurnOffSecondFactor(ctx, name); err != nil {
			return err
		}
	}
	if asked.Disabled != nil {
		return h.access.SetDisabled(ctx, name, *asked.Disabled)
	}
	return nil
}
