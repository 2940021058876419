package access

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"image/png"
	"slices"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"

	"alerthub/models"
)

// What authenticator apps expect (RFC 6238).
const (
	totpPeriod = 30 // seconds
	totpSkew   = 1  // steps that a clock may be off
)

// Recovery codes have 120 random bits: from 112 on nobody guesses one, even
// who has read its plain hash (ASVS 5.0, 6.5.2).
const (
	recoveryCodes  = 10
	recoveryLength = 24 // characters of base32
)

// NewSecondFactor makes a secret for a user who is signed in. It is theirs
// once TurnOnSecondFactor has seen a code of it; until then only their session
// has it.
func (s *Service) NewSecondFactor(a models.Actor) (models.SecondFactor, error) {
	key, err := totp.Generate(totp.GenerateOpts{Issuer: "Network Alert Hub", AccountName: a.Name, Period: totpPeriod})
	if err != nil {
		return models.SecondFactor{}, fmt.Errorf("make a second factor: %w", err)
	}
	offered := models.SecondFactor{Secret: key.Secret(), URI: key.URL()}
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.sessionByID(a.Session)
	if v == nil {
		return models.SecondFactor{}, fmt.Errorf("session %d: %w", a.Session, models.ErrNotFound)
	}
	v.offered = offered
	return offered, nil
}

// OfferedSecondFactor is the secret that waits to be confirmed in the session
// of a; models.ErrNotFound.
func (s *Service) OfferedSecondFactor(a models.Actor) (models.SecondFactor, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	v := s.sessionByID(a.Session)
	if v == nil || v.offered.Secret == "" {
		return models.SecondFactor{}, fmt.Errorf("second factor of session %d: %w", a.Session, models.ErrNotFound)
	}
	return v.offered, nil
}

// QR is the picture of an otpauth address, as a PNG of size pixels.
func (s *Service) QR(uri string, size int) ([]byte, error) {
	key, err := otp.NewKeyFromURL(uri)
	if err != nil {
		return nil, fmt.Errorf("read an otpauth address: %w", err)
	}
	picture, err := key.Image(size, size)
	if err != nil {
		return nil, fmt.Errorf("draw an otpauth address: %w", err)
	}
	var b bytes.Buffer
	err = png.Encode(&b, picture)
	return b.Bytes(), err
}

// stepOf finds the time step whose code this is, around now; 0 for none.
func stepOf(secret, code string, now time.Time) int64 {
	step := now.Unix() / totpPeriod
	for _, near := range []int64{step, step - totpSkew, step + totpSkew} {
		want, err := hotp.GenerateCode(secret, uint64(near))
		if err == nil && want == code {
			return near
		}
	}
	return 0
}

// TurnOnSecondFactor gives a user the secret that waits in their session, whose
// code they show, and returns their recovery codes, which nothing tells again.
// The error is a *models.FieldError for "code", or models.ErrNotFound when
// nothing waits.
func (s *Service) TurnOnSecondFactor(ctx context.Context, a models.Actor, code string) ([]string, error) {
	offered, err := s.OfferedSecondFactor(a)
	if err != nil {
		return nil, err
	}
	step := stepOf(offered.Secret, plainCode(code), s.now())
	if step == 0 {
		return nil, &models.FieldError{Field: "code", Reason: "is not the code of now"}
	}
	codes, hashes := newRecoveryCodes()
	err = s.update(ctx, a.Name, func(c *models.Credentials) error {
		c.TOTPSecret, c.TOTPStep, c.RecoveryHash = offered.Secret, step, hashes
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	if v := s.sessionByID(a.Session); v != nil {
		v.offered = models.SecondFactor{}
	}
	s.mu.Unlock()
	_ = s.Record(ctx, models.AuditTwoFactorOn, "user "+a.Name, "")
	return codes, nil
}

// TurnOffSecondFactor takes a user's second factor away, and its recovery codes.
func (s *Service) TurnOffSecondFactor(ctx context.Context, name string) error {
	err := s.update(ctx, name, func(c *models.Credentials) error {
		c.TOTPSecret, c.TOTPStep, c.RecoveryHash = "", 0, nil
		return nil
	})
	if err == nil {
		_ = s.Record(ctx, models.AuditTwoFactorOff, "user "+name, "")
	}
	return err
}

// RenewRecoveryCodes replaces the recovery codes of a user who has a second
// factor; models.ErrNotFound without one.
func (s *Service) RenewRecoveryCodes(ctx context.Context, name string) ([]string, error) {
	codes, hashes := newRecoveryCodes()
	err := s.update(ctx, name, func(c *models.Credentials) error {
		if c.TOTPSecret == "" {
			return fmt.Errorf("second factor of %q: %w", name, models.ErrNotFound)
		}
		c.RecoveryHash = hashes
		return nil
	})
	if err != nil {
		return nil, err
	}
	_ = s.Record(ctx, models.AuditRecoveryRenewed, "user "+name, "")
	return codes, nil
}

// checkCode takes a code of a user's second factor, or a recovery code, each
// once. The error is models.ErrUnauthorized, or a *models.TooManyError.
func (s *Service) checkCode(ctx context.Context, c *models.Credentials, code, address string) error {
	t, err := s.attempt(triedCode, strings.ToLower(c.Name), address)
	if err != nil {
		return err
	}
	code = plainCode(code)
	recovered, left := false, 0
	err = s.update(ctx, c.Name, func(c *models.Credentials) error {
		if step := stepOf(c.TOTPSecret, code, s.now()); step > c.TOTPStep {
			c.TOTPStep = step
			return nil
		}
		i := slices.Index(c.RecoveryHash, hashOf(code))
		if recovered = i >= 0; !recovered {
			return models.ErrUnauthorized
		}
		c.RecoveryHash = slices.Delete(slices.Clone(c.RecoveryHash), i, i+1)
		left = len(c.RecoveryHash)
		return nil
	})
	switch {
	case errors.Is(err, models.ErrUnauthorized):
		s.failed(ctx, c, address, "code")
	case err != nil:
		s.attempts.undo(t)
	default:
		s.attempts.succeeded(t)
	}
	if err != nil {
		return fmt.Errorf("check a code: %w", err)
	}
	if recovered {
		actor := models.Actor{Kind: models.ActorUser, ID: c.ID, Name: c.Name, Address: address}
		_ = s.Record(models.WithActor(ctx, actor), models.AuditRecoveryUsed, "", fmt.Sprintf("%d left", left))
	}
	return nil
}

// newRecoveryCodes are recovery codes, and what is kept of them.
func newRecoveryCodes() (codes, hashes []string) {
	for range recoveryCodes {
		code := strings.ToLower(rand.Text()[:recoveryLength])
		hashes = append(hashes, hashOf(code))
		groups := slices.Collect(slices.Chunk([]byte(code), 4))
		codes = append(codes, string(bytes.Join(groups, []byte("-"))))
	}
	return codes, hashes
}

// plainCode is a code as it is compared, however it was typed.
func plainCode(typed string) string {
	return strings.ToLower(strings.NewReplacer(" ", "", "-", "").Replace(typed))
}
