package access

import (
	"bytes"
	"errors"
	"fmt"
	"image/png"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"alerthub/models"
)

// code is what ana's app shows now.
func (b *bench) code(secret string) string {
	b.t.Helper()
	code, err := totp.GenerateCode(secret, b.clock)
	if err != nil {
		b.t.Fatal(err)
	}
	return code
}

func TestService_SecondFactor(t *testing.T) {
	b := begin(t)
	b.add("ana", models.RoleViewer)
	ana, _ := b.Session(t.Context(), b.signIn("ana").Token, home)
	if _, err := b.TurnOnSecondFactor(local(t), ana, "000000"); !errors.Is(err, models.ErrNotFound) {
		t.Errorf("turned on what was not offered: %v", err)
	}
	offered, err := b.NewSecondFactor(ana)
	if err != nil || !strings.HasPrefix(offered.URI, "otpauth://totp/Network%20Alert%20Hub:ana?") {
		t.Fatalf("%+v, %v", offered, err)
	}
	picture, err := b.QR(offered.URI, 200)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := png.Decode(bytes.NewReader(picture)); err != nil || p.Bounds().Dx() != 200 {
		t.Errorf("the picture: %v", err)
	}
	if _, err := b.TurnOnSecondFactor(local(t), ana, "000000"); field(err) == "" {
		t.Errorf("turned on by a wrong code: %v", err)
	}
	codes, err := b.TurnOnSecondFactor(local(t), ana, b.code(offered.Secret))
	if err != nil || len(codes) != recoveryCodes || len(plainCode(codes[0])) != recoveryLength {
		t.Fatalf("%v, %v", codes, err)
	}
	b.restart()
	confirm := func(code string) error {
		t.Helper()
		ticket := b.signIn("ana")
		if _, ok := b.Session(t.Context(), ticket.Token, home); ok || !ticket.Code {
			t.Fatal("the password alone opens the door")
		}
		done, err := b.Confirm(t.Context(), code, ticket.Token, models.Visitor{Address: home})
		if err != nil {
			return err
		}
		if _, ok := b.Session(t.Context(), done.Token, home); !ok || done.Token == ticket.Token {
			t.Error("not signed in, or with the token of before")
		}
		return nil
	}
	if err := confirm(b.code(offered.Secret)); !errors.Is(err, models.ErrUnauthorized) {
		t.Errorf("the code that turned it on, again: %v", err)
	}
	b.clock = b.clock.Add(30 * time.Second)
	now := b.code(offered.Secret)
	if err := confirm(now[:3] + " " + now[3:]); err != nil {
		t.Errorf("the next code: %v", err)
	}
	if err := confirm(now); !errors.Is(err, models.ErrUnauthorized) {
		t.Errorf("the same code again: %v", err)
	}
	if err := confirm(strings.ToUpper(codes[3])); err != nil {
		t.Errorf("a recovery code: %v", err)
	}
	if err := confirm(codes[3]); !errors.Is(err, models.ErrUnauthorized) {
		t.Errorf("a recovery code again: %v", err)
	}
	if user, _ := b.User("ana"); user.Recovery != recoveryCodes-1 || !user.TwoFactor {
		t.Errorf("%+v", user)
	}
	// A sign-in waits five minutes, and no longer.
	ticket := b.signIn("ana")
	b.clock = b.clock.Add(codeWithin + time.Second)
	if _, err := b.Confirm(t.Context(), codes[4], ticket.Token, models.Visitor{Address: home}); !errors.Is(err, models.ErrNotFound) {
		t.Errorf("too late: %v", err)
	}
	renewed, err := b.RenewRecoveryCodes(local(t), "ana")
	if err != nil {
		t.Fatal(err)
	}
	if err := confirm(codes[5]); !errors.Is(err, models.ErrUnauthorized) {
		t.Errorf("a code from before the renewal: %v", err)
	}
	if err := confirm(renewed[0]); err != nil {
		t.Errorf("a new one: %v", err)
	}
	if err := b.SetPassword(local(t), "ana", good, 0); err != nil {
		t.Fatal(err)
	}
	if ticket := b.signIn("ana"); !ticket.Code {
		t.Error("a new password takes the second factor away")
	}
	if err := b.TurnOffSecondFactor(local(t), "ana"); err != nil {
		t.Fatal(err)
	}
	if ticket := b.signIn("ana"); ticket.Code {
		t.Error("turned off, and asked for")
	}
}

func TestService_SlowsGuessingOfCodes(t *testing.T) {
	b := begin(t)
	b.add("ana", models.RoleViewer)
	ana, _ := b.Session(t.Context(), b.signIn("ana").Token, home)
	offered, err := b.NewSecondFactor(ana)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.TurnOnSecondFactor(local(t), ana, b.code(offered.Secret)); err != nil {
		t.Fatal(err)
	}
	var many *models.TooManyError
	for i := range 6 {
		ticket := b.signIn("ana")
		_, err = b.Confirm(t.Context(), "000000", ticket.Token, models.Visitor{Address: fmt.Sprintf("198.51.100.%d", i)})
		if slowed := errors.As(err, &many); slowed != (i > freeFailures) {
			t.Fatalf("try %d: %v", i, err)
		}
	}
}

// Who acts without a session has no seed, and sees nobody's: not by the
// sign-in of somebody else that waits for its code either.
func TestService_SecondFactorNeedsASession(t *testing.T) {
	b := begin(t)
	ana, ben := b.add("ana", models.RoleViewer), b.add("ben", models.RoleViewer)
	b.secondFactor("ana")
	b.signIn("ana") // waits
	byToken := func(u models.User) models.Actor { return models.Actor{Kind: models.ActorUser, ID: u.ID, Name: u.Name} }
	if got, err := b.NewSecondFactor(byToken(ana)); !errors.Is(err, models.ErrNotFound) {
		t.Errorf("a seed for a token: %+v, %v", got, err)
	}
	if got, err := b.OfferedSecondFactor(byToken(ben)); !errors.Is(err, models.ErrNotFound) {
		t.Errorf("somebody else's seed: %+v, %v", got, err)
	}
}
