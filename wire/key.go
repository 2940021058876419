package wire

import (
	"bytes"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"alerthub/models"
)

// Key is an API key as programs read it. It holds no secret.
type Key struct {
	ID           int64          `json:"id"`
	Name         string         `json:"name"`
	Hint         string         `json:"hint"`
	Scopes       []models.Scope `json:"scopes"`
	Sources      []string       `json:"sources"`
	CreatedAt    string         `json:"created_at"`
	CreatedBy    string         `json:"created_by"`
	ExpiresAt    *string        `json:"expires_at"`
	LastUsedAt   *string        `json:"last_used_at"`
	LastUsedFrom *string        `json:"last_used_from"`
	RevokedAt    *string        `json:"revoked_at"`
}

// FromKey writes a key.
func FromKey(k models.Key) Key {
	return Key{
		ID: k.ID, Name: k.Name, Hint: k.Hint, Scopes: k.Scopes, Sources: k.Sources,
		CreatedAt: models.FormatTime(k.CreatedAt), CreatedBy: k.CreatedBy,
		ExpiresAt: timeOrNull(k.ExpiresAt), LastUsedAt: timeOrNull(k.LastUsedAt), LastUsedFrom: orNull(k.LastUsedFrom),
		RevokedAt: timeOrNull(k.RevokedAt),
	}
}

// DecodeKey reads what is asked of a new key, {"name":"...","scopes":[...],
// "sources":[...],"expires_at":"..."}, by the same rules as Decode. Whether
// that can be had is not judged.
func DecodeKey(raw []byte) (models.KeyDraft, error) {
	raw = bytes.ToValidUTF8(bytes.TrimSpace(raw), []byte("\uFFFD"))
	if len(raw) == 0 || raw[0] != '{' {
		return models.KeyDraft{}, models.ErrInvalidJSON
	}
	var asked struct {
		Name      string         `json:"name"`
		Scopes    jsontext.Value `json:"scopes"`
		Sources   jsontext.Value `json:"sources"`
		ExpiresAt string         `json:"expires_at"`
	}
	if err := json.Unmarshal(raw, &asked, lenientText); err != nil {
		return models.KeyDraft{}, decodeError(raw, err)
	}
	draft := models.KeyDraft{Name: asked.Name}
	var err error
	if draft.Scopes, err = list[models.Scope]("scopes", asked.Scopes); err != nil {
		return models.KeyDraft{}, err
	}
	if draft.Sources, err = list[string]("sources", asked.Sources); err != nil {
		return models.KeyDraft{}, err
	}
	if asked.ExpiresAt != "" {
		if draft.ExpiresAt, err = time.Parse(time.RFC3339, asked.ExpiresAt); err != nil {
			return models.KeyDraft{}, &models.FieldError{Field: "expires_at", Reason: "must be a time such as 2027-01-31T00:00:00Z"}
		}
	}
	return draft, nil
}

// list reads an array of strings; an absent one and null are empty.
func list[T ~string](field string, v jsontext.Value) (texts []T, err error) {
	if len(v) == 0 {
		return nil, nil
	}
	if json.Unmarshal(v, &texts, lenientText) != nil {
		return nil, &models.FieldError{Field: field, Reason: "must be an array of strings"}
	}
	return texts, nil
}
