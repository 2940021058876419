package wire

import (
	"bytes"

	"github.com/go-json-experiment/json"

	"alerthub/models"
)

// User is a person as programs read them. It holds no secret.
type User struct {
	ID         int64       `json:"id"`
	Name       string      `json:"name"`
	Role       models.Role `json:"role"`
	CreatedAt  string      `json:"created_at"`
	DisabledAt *string     `json:"disabled_at"`
	TwoFactor  bool        `json:"two_factor"`
	Sessions   int         `json:"sessions"`
}

// FromUser writes a user who is signed in at so many places.
func FromUser(u models.User, sessions int) User {
	return User{
		ID: u.ID, Name: u.Name, Role: u.Role, CreatedAt: models.FormatTime(u.CreatedAt), DisabledAt: timeOrNull(u.DisabledAt),
		TwoFactor: u.TwoFactor, Sessions: sessions,
	}
}

// UserChange is what is asked of a user; nil for what stays as it is.
type UserChange struct {
	Name      string  `json:"name"`
	Role      *string `json:"role"`
	Password  *string `json:"password"`
	Disabled  *bool   `json:"disabled"`
	TwoFactor *bool   `json:"two_factor"`
}

// DecodeUser reads what is asked of a user, by the same rules as Decode.
// Whether that can be had is not judged.
func DecodeUser(raw []byte) (UserChange, error) {
	raw = bytes.ToValidUTF8(bytes.TrimSpace(raw), []byte("\uFFFD"))
	if len(raw) == 0 || raw[0] != '{' {
		return UserChange{}, models.ErrInvalidJSON
	}
	var asked UserChange
	if err := json.Unmarshal(raw, &asked, lenientText); err != nil {
		return UserChange{}, decodeError(raw, err)
	}
	return asked, nil
}
