package wire

import (
	"bytes"

	"github.com/go-json-experiment/json"

	"alerthub/models"
)

// Login is what a user shows to be known. It is never logged.
type Login struct {
	Name     string `json:"username"`
	Password string `json:"password"`
	Code     string `json:"code"` // of the second factor; "" without
}

// DecodeLogin reads a login by the same rules as Decode.
func DecodeLogin(raw []byte) (Login, error) {
	raw = bytes.ToValidUTF8(bytes.TrimSpace(raw), []byte("\uFFFD"))
	if len(raw) == 0 || raw[0] != '{' {
		return Login{}, models.ErrInvalidJSON
	}
	var login Login
	if err := json.Unmarshal(raw, &login, lenientText); err != nil {
		return Login{}, decodeError(raw, err)
	}
	for _, member := range []struct{ name, value string }{{"username", login.Name}, {"password", login.Password}} {
		if member.value == "" {
			return Login{}, &models.FieldError{Field: member.name, Reason: "is missing"}
		}
	}
	return login, nil
}
