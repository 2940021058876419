package views

import (
	"context"
	"net/url"
	"strings"
	"time"

	"alerthub/i18n"
	"alerthub/models"
)

// LoginData is the form by which people sign in: a name and a password, or,
// once those were right, the code of the second factor.
type LoginData struct {
	Name  string // as it was typed
	Next  string // the page to go to
	Error string // in the reader's language
	Code  bool   // only the code is asked for
}

// SetupData is the form that makes the first account.
type SetupData struct {
	Token string // of the link that leads here
	Name  string // as it was typed
	Error string // in the reader's language
}

// AccountData is what people see of themselves.
type AccountData struct {
	User     models.User
	Sessions []models.Session
	// Errors are the problems in the reader's language: of the password
	// ("current", "password", "repeat") and of the second factor ("totp" where
	// the password confirms, "code").
	Errors map[string]string
	TOTP   *TOTPData // what the second factor shows once
}

// TOTPData is shown once: the secret while the second factor is being turned
// on, the recovery codes when it has been, or when they are new.
type TOTPData struct {
	Secret string // in base 32
	URI    string // otpauth:, for an authenticator on this very device
	Codes  []string
}

// PeopleData is who can sign in, and the form that adds somebody.
type PeopleData struct {
	People []PersonRow
	Form   PersonForm
	Errors map[string]string // "name", "role", "password", in the reader's language
}

// PersonRow is a person with the number of places where they are signed in.
type PersonRow struct {
	models.User
	Sessions int
}

// PersonForm is what was typed into the form that adds somebody.
type PersonForm struct {
	Name string
	Role models.Role
}

// PersonData is what an administrator can do about one person.
type PersonData struct {
	PersonRow
	Self   bool              // it is who asks
	Errors map[string]string // "role", "password", "disable", "self", in the reader's language
}

// KeysData is who may speak to the hub without a person: keys, the form that
// makes one, and the senders that show none.
type KeysData struct {
	Keys      []KeyRow
	Secret    string // of the key that was just made
	Form      KeyForm
	Errors    map[string]string // "name", "scopes", "sources", "expires", "anonymous", in the reader's language
	Anonymous []SenderRow       // the last heard first
	Ranges    string            // the addresses from which no key is asked, by comma; "" for none
	Try       string            // the ranges of a dry run; "" for none
	Tried     bool              // Try is told of: it holds ranges, or deliberately none
}

// KeyRow is a key without its secret.
type KeyRow struct {
	ID           int64
	Name, Hint   string // Hint is how its secret begins
	Scopes       []models.Scope
	Sources      []string // globs; none for any
	CreatedBy    string
	CreatedAt    time.Time
	ExpiresAt    time.Time // zero for never
	LastUsedAt   time.Time // zero for never
	LastUsedFrom string
	RevokedAt    time.Time // zero while it holds
}

// KeyForm is what was typed into the form that makes a key.
type KeyForm struct {
	Name    string
	Scopes  []models.Scope
	Sources string // by comma
	Expires string // one of KeyExpiries
}

// SenderRow is an address from which events came without a key.
type SenderRow struct {
	Address         string
	FirstAt, LastAt time.Time
	Events          int64
	LastSource      string
	Allowed         bool // nothing is asked of it now
	WouldRefuse     bool // a dry run says so
}

// The expiries that the form of a key offers.
const (
	Expires30d   = "30d"
	Expires90d   = "90d"
	Expires1y    = "1y"
	ExpiresNever = "never"
)

// KeyExpiries are all of them, the shortest first.
func KeyExpiries() []string { return []string{Expires30d, Expires90d, Expires1y, ExpiresNever} }

func expiryWords(ctx context.Context, e string) string {
	switch e {
	case Expires30d:
		return i18n.T(ctx, "key.expires.days", "Count", 30)
	case Expires90d:
		return i18n.T(ctx, "key.expires.days", "Count", 90)
	case Expires1y:
		return i18n.T(ctx, "key.expires.year")
	}
	return i18n.T(ctx, "key.expires.never")
}

// Refusal is why what somebody asked of people, keys or themselves was not
// done.
type Refusal string

// The refusals.
const (
	RefusedSignIn    Refusal = "sign_in"    // user or password, nobody is told which
	RefusedCode      Refusal = "code"       // of the second factor
	RefusedLate      Refusal = "late"       // the code came long after the password
	RefusedSetup     Refusal = "setup"      // the link is used up
	RefusedCurrent   Refusal = "current"    // that is not the password
	RefusedShort     Refusal = "short"      // a password
	RefusedLong      Refusal = "long"       // a password
	RefusedCommon    Refusal = "common"     // a password
	RefusedRepeat    Refusal = "repeat"     // the two passwords differ
	RefusedName      Refusal = "name"       // missing or too long
	RefusedTaken     Refusal = "taken"      // the name
	RefusedRole      Refusal = "role"       // none of the roles
	RefusedLastAdmin Refusal = "last_admin" // nobody would be left to administer
	RefusedSelf      Refusal = "self"       // done in the account alone
	RefusedScopes    Refusal = "scopes"     // none, or unknown ones
	RefusedSources   Refusal = "sources"    // not globs
	RefusedExpiry    Refusal = "expiry"
	RefusedRanges    Refusal = "ranges" // not address ranges
)

// RefusalWords are a refusal in the reader's language.
func RefusalWords(ctx context.Context, r Refusal) string {
	switch r {
	case RefusedSignIn:
		return i18n.T(ctx, "refused.signin")
	case RefusedCode:
		return i18n.T(ctx, "refused.code")
	case RefusedLate:
		return i18n.T(ctx, "refused.late")
	case RefusedSetup:
		return i18n.T(ctx, "refused.setup")
	case RefusedCurrent:
		return i18n.T(ctx, "refused.current")
	case RefusedShort:
		return i18n.T(ctx, "refused.short", "Min", models.MinPassword)
	case RefusedLong:
		return i18n.T(ctx, "refused.long", "Max", models.MaxPassword)
	case RefusedCommon:
		return i18n.T(ctx, "refused.common")
	case RefusedRepeat:
		return i18n.T(ctx, "refused.repeat")
	case RefusedName:
		return i18n.T(ctx, "refused.name", "Max", models.MaxUserName)
	case RefusedTaken:
		return i18n.T(ctx, "refused.taken")
	case RefusedRole:
		return i18n.T(ctx, "refused.role")
	case RefusedSelf:
		return i18n.T(ctx, "refused.self")
	case RefusedLastAdmin:
		return i18n.T(ctx, "refused.admin")
	case RefusedScopes:
		return i18n.T(ctx, "refused.scopes")
	case RefusedSources:
		return i18n.T(ctx, "refused.sources")
	case RefusedExpiry:
		return i18n.T(ctx, "refused.expiry")
	}
	return i18n.T(ctx, "refused.ranges")
}

// WaitWords say that too many attempts have failed, and how long to wait.
func WaitWords(ctx context.Context, d time.Duration) string {
	return i18n.T(ctx, "refused.wait", "Count", int64(max(d+time.Second-1, time.Second)/time.Second))
}

func roleWord(ctx context.Context, r models.Role) string {
	switch r {
	case models.RoleViewer:
		return i18n.T(ctx, "role.viewer")
	case models.RoleOperator:
		return i18n.T(ctx, "role.operator")
	case models.RoleAdmin:
		return i18n.T(ctx, "role.admin")
	}
	return string(r)
}

// scopeWords say what a key of a scope may do.
func scopeWords(ctx context.Context, s models.Scope) string {
	switch s {
	case models.ScopeIngest:
		return i18n.T(ctx, "scope.ingest")
	case models.ScopeRead:
		return i18n.T(ctx, "scope.read")
	}
	return i18n.T(ctx, "scope.admin")
}

func scopeList(scopes []models.Scope) string {
	words := make([]string, len(scopes))
	for i, s := range scopes {
		words[i] = string(s)
	}
	return strings.Join(words, ", ")
}

func personURL(id int64) string { return "/access/people/" + itoa(id) }

func keyURL(id int64) string { return "/access/keys/" + itoa(id) }

// CodeURL is the page that asks for the code of a second factor, and then
// leads on to next.
func CodeURL(next string) string { return withParam("/login/code", "next", url.QueryEscape(next)) }
