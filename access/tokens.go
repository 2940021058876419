package access

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"alerthub/models"
)

const (
	// tokenLife is how long a token is good for: it cannot be revoked alone.
	tokenLife = 15 * time.Minute
	// maxToken bounds what is looked at, in bytes. A token of the hub has 300.
	maxToken = 1 << 10
	// tokenParty is who makes the tokens, and whom they are for.
	tokenParty = "alerthub"
	tokenType  = "JWT"
)

// What a token's subject begins with; a colon and an id follow.
const (
	keySubject  = "key"
	userSubject = "user"
)

// tokens makes and reads the tokens (JWT, RFC 7519) of those who want no
// secret in each request. They are signed by a key that is made at the start
// and kept nowhere: a restart ends them all.
type tokens struct {
	secret []byte
	parser *jwt.Parser
}

// tokenClaims are what a token says. Who that is now, and what they may, is
// looked up whenever it is shown.
type tokenClaims struct {
	jwt.RegisteredClaims
	// PasswordAt is when the password was chosen that a user has shown, in
	// microseconds: the token ends with it. A key has none.
	PasswordAt int64 `json:"password_at,omitempty"`
}

func newTokens(now func() time.Time) *tokens {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails (crypto/rand)
	return &tokens{secret, jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithStrictDecoding(),
		jwt.WithExpirationRequired(), jwt.WithNotBeforeRequired(), jwt.WithIssuedAt(), jwt.WithIssuer(tokenParty), jwt.WithAudience(tokenParty),
		jwt.WithTimeFunc(now),
	)}
}

// make makes a token for a subject that ends at expires. passwordAt is that
// of a user, 0 for a key.
func (t *tokens) make(subject string, passwordAt int64, now, expires time.Time) (string, error) {
	at := jwt.NewNumericDate(now)
	return jwt.NewWithClaims(jwt.SigningMethodHS256, tokenClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: tokenParty, Audience: jwt.ClaimStrings{tokenParty}, Subject: subject,
			IssuedAt: at, NotBefore: at, ExpiresAt: jwt.NewNumericDate(expires),
		},
		PasswordAt: passwordAt,
	}).SignedString(t.secret)
}

// read checks a token. Its error is models.ErrUnauthorized.
func (t *tokens) read(token string) (tokenClaims, error) {
	var claims tokenClaims
	_, err := t.parser.ParseWithClaims(token, &claims, func(parsed *jwt.Token) (any, error) {
		// Nothing that a header may name, keys and addresses of keys above all,
		// is heeded, and none of it is needed.
		if len(parsed.Header) != 2 || parsed.Header["typ"] != tokenType {
			return nil, models.ErrUnauthorized
		}
		return t.secret, nil
	})
	if err != nil || claims.IssuedAt == nil {
		return tokenClaims{}, models.ErrUnauthorized
	}
	return claims, nil
}

// IssueToken makes a token for whoever acts in ctx by a key. The error is
// models.ErrUnauthorized for anybody else: who has but a token gets no other.
func (s *Service) IssueToken(ctx context.Context) (token string, expires time.Time, err error) {
	a := models.ActorOf(ctx)
	if a.Kind != models.ActorKey || !a.Until.IsZero() {
		return "", time.Time{}, models.ErrUnauthorized
	}
	held := s.find(a.ID)
	if held == nil {
		return "", time.Time{}, models.ErrUnauthorized
	}
	expires = s.now().Add(tokenLife)
	if !held.ExpiresAt.IsZero() && held.ExpiresAt.Before(expires) {
		expires = held.ExpiresAt
	}
	return s.issue(ctx, keySubject, a.ID, 0, "key "+a.Name, expires)
}

// IssueTokenFor makes a token for a user who has shown a password, and a code
// where there is a second factor. The errors are those of SignIn.
func (s *Service) IssueTokenFor(ctx context.Context, name, password, code, address string) (token string, expires time.Time, err error) {
	c, err := s.check(ctx, triedPassword, name, password, address)
	if err == nil && c.TOTPSecret != "" {
		err = s.checkCode(ctx, c, code, address)
	}
	if err != nil {
		return "", time.Time{}, err
	}
	a := models.Actor{Kind: models.ActorUser, ID: c.ID, Name: c.Name, Address: address, Since: c.PasswordAt}
	if s.heldBy(a) == nil { // the password is another one by now
		return "", time.Time{}, models.ErrUnauthorized
	}
	return s.issue(models.WithActor(ctx, a), userSubject, c.ID, c.PasswordAt.UnixMicro(), "user "+c.Name, s.now().Add(tokenLife))
}

func (s *Service) issue(ctx context.Context, kind string, id, passwordAt int64, object string, expires time.Time) (string, time.Time, error) {
	token, err := s.tokens.make(kind+":"+strconv.FormatInt(id, 10), passwordAt, s.now(), expires)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("sign a token: %w", err)
	}
	_ = s.Record(ctx, models.AuditToken, object, "")
	return token, expires.Truncate(time.Second), nil
}

// looksSigned tells tokens from keys, which have no dot.
func looksSigned(token string) bool { return strings.Contains(token, ".") }

// signed is who shows a token.
func (s *Service) signed(token, address string) (models.Actor, error) {
	if len(token) > maxToken || strings.ContainsAny(token, "\r\n") { // which encoding/base64 would skip
		return models.Actor{}, models.ErrUnauthorized
	}
	claims, err := s.tokens.read(token)
	if err != nil {
		return models.Actor{}, err
	}
	a := models.Actor{Address: address, Since: time.UnixMicro(claims.PasswordAt).UTC(), Until: claims.ExpiresAt.UTC()}
	kind, number, _ := strings.Cut(claims.Subject, ":")
	if a.ID, err = strconv.ParseInt(number, 10, 64); err != nil {
		return models.Actor{}, models.ErrUnauthorized
	}
	switch kind {
	case keySubject:
		if held := s.find(a.ID); held != nil && s.holds(a) {
			a.Kind, a.Name, a.Scopes, a.Sources = models.ActorKey, held.Name, held.Scopes, held.Sources
			return a, nil
		}
	case userSubject:
		if c := s.heldBy(a); c != nil {
			a.Kind, a.Name, a.Role = models.ActorUser, c.Name, c.Role
			return a, nil
		}
	}
	return models.Actor{}, models.ErrUnauthorized
}

// heldBy is the user of a token, nil when they may not come in any more, or
// have another password now.
func (s *Service) heldBy(a models.Actor) *models.Credentials {
	s.mu.RLock()
	defer s.mu.RUnlock()
	c := s.users[a.ID]
	if c == nil || !c.DisabledAt.IsZero() || !c.PasswordAt.Equal(a.Since) {
		return nil
	}
	return c
}
