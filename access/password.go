package access

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"alerthub/models"
)

// What a hash costs: the second choice of the OWASP Password Storage Cheat
// Sheet, 19 MiB and two passes, some 30 ms of a small machine.
const (
	hashMemory  = 19 << 10 // KiB
	hashPasses  = 2
	hashThreads = 1
	hashLength  = 32 // bytes
	saltLength  = 16
)

const (
	maxHashing = 2  // at the same time: they take a processor and 19 MiB each
	maxWaiting = 32 // who waits for a turn; more are told that the hub is busy
)

// hashing bounds how many hashes are computed.
type hashing struct {
	turns   chan struct{}
	waiting chan struct{}
}

func newHashing() hashing {
	return hashing{turns: make(chan struct{}, maxHashing), waiting: make(chan struct{}, maxWaiting)}
}

// take waits for a turn to compute a hash, which done gives back; the error is
// models.ErrBusy, or the context's.
func (h hashing) take(ctx context.Context) (done func(), err error) {
	select {
	case h.waiting <- struct{}{}:
	default:
		return nil, fmt.Errorf("hash a password: %w", models.ErrBusy)
	}
	select {
	case h.turns <- struct{}{}:
		return func() { <-h.turns; <-h.waiting }, nil
	case <-ctx.Done():
		<-h.waiting
		return nil, ctx.Err()
	}
}

// hash makes what is stored of a password: the PHC string of its argon2id.
func (h hashing) hash(ctx context.Context, password string) (string, error) {
	done, err := h.take(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	salt := make([]byte, saltLength)
	_, _ = rand.Read(salt) // never fails (crypto/rand)
	key := argon2.IDKey([]byte(password), salt, hashPasses, hashMemory, hashThreads, hashLength)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, hashMemory, hashPasses, hashThreads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key)), nil
}

// matches reports whether password is the one of a hash, which it asks for when
// it has a turn.
func (h hashing) matches(ctx context.Context, password string, ask func() (stored string, err error)) (bool, error) {
	done, err := h.take(ctx)
	if err != nil {
		return false, err
	}
	defer done()
	stored, err := ask()
	if err != nil {
		return false, err
	}
	var (
		version, threads int
		memory, passes   uint32
		salt, key        []byte
		err1, err2       error
	)
	parts := strings.Split(stored, "$")
	if len(parts) == 6 && parts[1] == "argon2id" {
		_, err1 = fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &memory, &passes, &threads)
		salt, err2 = base64.RawStdEncoding.DecodeString(parts[4])
		if err := errors.Join(err1, err2); err == nil {
			key, err1 = base64.RawStdEncoding.DecodeString(parts[5])
		}
	}
	if err1 != nil || err2 != nil || version != argon2.Version || len(key) == 0 {
		return false, errors.New("the stored hash of a password cannot be read")
	}
	got := argon2.IDKey([]byte(password), salt, passes, memory, uint8(threads), uint32(len(key)))
	return subtle.ConstantTimeCompare(got, key) == 1, nil
}

// common.txt is the 4,000 most frequent passwords of at least eight
// characters in the list of zxcvbn 4.4.2 (MIT licence, Dropbox), which come
// from leaks.
//
//go:embed common.txt
var commonText string

var commonPasswords = sync.OnceValue(func() map[string]bool {
	set := make(map[string]bool)
	for line := range strings.Lines(commonText) {
		set[strings.TrimSuffix(line, "\n")] = true
	}
	return set
})

// CheckPassword tells what is wrong with a password that somebody of that
// name chooses, as a *models.FieldError for "password". There are no rules of
// composition (NIST SP 800-63B section 3.1.1.2): only what is short, known
// from leaks, or guessed from the name and the product is refused.
func CheckPassword(name, password string) error {
	length := utf8.RuneCountInString(password)
	switch folded := strings.ToLower(password); {
	case length < models.MinPassword:
		return &models.FieldError{Field: "password", Reason: models.PasswordShort}
	case length > models.MaxPassword:
		return &models.FieldError{Field: "password", Reason: models.PasswordLong}
	case commonPasswords()[folded]:
		return &models.FieldError{Field: "password", Reason: models.PasswordCommon}
	case name != "" && length < models.AdvisePassword && strings.Contains(folded, strings.ToLower(name)),
		length < models.AdvisePassword && strings.Contains(folded, "alerthub"):
		return &models.FieldError{Field: "password", Reason: models.PasswordGuessable}
	}
	return nil
}
