package models

import (
	"context"
	"slices"
	"strconv"
	"time"
)

// Permission is what one may do. Every route of the web door asks for one.
type Permission string

// The permissions.
const (
	PermitPublic     Permission = "public"     // nothing is asked: signing in, the files of a page
	PermitSelf       Permission = "self"       // any person who has signed in, about themselves
	PermitIngest     Permission = "ingest"     // hand in events
	PermitRead       Permission = "read"       // see what is stored
	PermitOperate    Permission = "operate"    // acknowledge, retry, cancel, import, send canaries
	PermitAdminister Permission = "administer" // people, keys, the audit log
)

// Permissions are all of them, the least first.
func Permissions() []Permission {
	return []Permission{PermitPublic, PermitSelf, PermitIngest, PermitRead, PermitOperate, PermitAdminister}
}

// Role is what a person is to the hub.
type Role string

// The roles, each of which may do what the one before it may.
const (
	RoleViewer   Role = "viewer"
	RoleOperator Role = "operator"
	RoleAdmin    Role = "admin"
)

// Roles are all roles, the least first.
func Roles() []Role { return []Role{RoleViewer, RoleOperator, RoleAdmin} }

// Valid reports whether r is one of the roles.
func (r Role) Valid() bool { return slices.Contains(Roles(), r) }

// roleGrants is what each role may do.
var roleGrants = map[Role][]Permission{
	RoleViewer:   {PermitPublic, PermitSelf, PermitRead},
	RoleOperator: {PermitPublic, PermitSelf, PermitRead, PermitIngest, PermitOperate},
	RoleAdmin:    {PermitPublic, PermitSelf, PermitRead, PermitIngest, PermitOperate, PermitAdminister},
}

// Scope is what a key is for.
type Scope string

// The scopes. They add up: a key may have several.
const (
	ScopeIngest Scope = "ingest"
	ScopeRead   Scope = "read"
	ScopeAdmin  Scope = "admin" // all that a person with the role admin may
)

// Scopes are all scopes, the least first.
func Scopes() []Scope { return []Scope{ScopeIngest, ScopeRead, ScopeAdmin} }

// Valid reports whether s is one of the scopes.
func (s Scope) Valid() bool { return slices.Contains(Scopes(), s) }

// scopeGrants is what each scope may do.
var scopeGrants = map[Scope][]Permission{
	ScopeIngest: {PermitPublic, PermitIngest},
	ScopeRead:   {PermitPublic, PermitRead},
	ScopeAdmin:  {PermitPublic, PermitIngest, PermitRead, PermitOperate, PermitAdminister},
}

// ActorKind is by what somebody is known.
type ActorKind string

// The kinds of actors.
const (
	ActorNobody ActorKind = "nobody" // nothing was shown
	ActorOpen   ActorKind = "open"   // nothing is asked: a hub without users
	ActorUser   ActorKind = "user"   // a person who has signed in
	ActorKey    ActorKind = "key"    // an API key
	ActorDevice ActorKind = "device" // a client certificate
	ActorLocal  ActorKind = "local"  // a command on this machine
	ActorHub    ActorKind = "hub"    // the hub itself
)

// Actor is who does something, and what they may. The zero value is nobody,
// who may nothing but what is public.
type Actor struct {
	Kind    ActorKind
	ID      int64     // of the user or the key
	Name    string    // of the user, the key or the certificate
	Address string    // the IP address that they act from; "" for this machine's own commands
	Role    Role      // of a user
	Scopes  []Scope   // of a key
	Sources []string  // globs of the sources that they may speak as; none for any
	Session int64     // by which a user is signed in, 0 without
	Since   time.Time // when the password was chosen for which a user has a token; zero for others
	Until   time.Time // when what they have shown ends by itself; zero for never
	Ingest  bool      // may hand in events without having shown anything
}

// May reports whether a may do what p stands for.
func (a Actor) May(p Permission) bool {
	switch a.Kind {
	case ActorOpen:
		return p != PermitSelf && p != PermitAdminister && (p != PermitIngest || a.Ingest)
	case ActorLocal:
		return p != PermitSelf
	case ActorUser:
		return slices.Contains(roleGrants[a.Role], p)
	case ActorKey:
		return slices.ContainsFunc(a.Scopes, func(s Scope) bool { return slices.Contains(scopeGrants[s], p) })
	case ActorDevice, ActorHub:
		return p == PermitPublic || p == PermitIngest
	default:
		return p == PermitPublic || p == PermitIngest && a.Ingest
	}
}

// Credential names what a has proved itself by, for limits: "" for nobody.
func (a Actor) Credential() string {
	switch a.Kind {
	case ActorKey, ActorUser:
		return string(a.Kind) + " " + strconv.FormatInt(a.ID, 10)
	case ActorDevice:
		return string(a.Kind) + " " + a.Name
	}
	return ""
}

type actorKey struct{}

// WithActor returns a context in which a acts.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorOf is who acts in ctx; nobody, unless WithActor said so.
func ActorOf(ctx context.Context) Actor {
	a, ok := ctx.Value(actorKey{}).(Actor)
	if !ok {
		return Actor{Kind: ActorNobody}
	}
	return a
}

// User is a person who can sign in.
type User struct {
	ID         int64
	Name       string // unique, whatever its case
	Role       Role
	CreatedAt  time.Time // UTC
	DisabledAt time.Time // zero while they may sign in
	TwoFactor  bool      // a code is asked for besides the password
	Recovery   int       // recovery codes that are left
}

// Credentials are a user and what proves that it is them.
type Credentials struct {
	User
	PasswordHash string    // argon2id, in the PHC string format
	PasswordAt   time.Time // when it was chosen
	TOTPSecret   string    // base32 (RFC 4648); "" without a second factor
	TOTPStep     int64     // the last time step whose code was taken (RFC 6238)
	RecoveryHash []string  // SHA-256 of the recovery codes that are left, in hex
}

// Session is one place where a user is signed in.
type Session struct {
	ID        int64
	UserID    int64
	BegunAt   time.Time // UTC
	ExpiresAt time.Time // when nothing is heard until then
	Address   string    // where it began
	Agent     string    // the browser, as it names itself
	Current   bool      // the one that asks

	TokenHash string // SHA-256 of what the browser shows
	Data      []byte // what the session library keeps
}

// Visitor is where somebody signs in.
type Visitor struct {
	Address string // IP address
	Agent   string // the browser's name for itself
}

// Ticket is what a browser gets for a sign-in.
type Ticket struct {
	Token   string    // the value of its cookie
	Expires time.Time // after which it is worth nothing, whatever happens
	Code    bool      // it opens nothing yet: a code is owed
}

// SecondFactor is a second factor that waits to be confirmed.
type SecondFactor struct {
	Secret string // base32
	URI    string // otpauth:// for an authenticator
}

// Why a password cannot be had: the Reason of a *FieldError.
const (
	PasswordShort     = "must have at least 8 characters"
	PasswordLong      = "must have at most 128 characters"
	PasswordCommon    = "is one of the most common ones"
	PasswordGuessable = "is easy to guess: it holds the name of its user, or of the hub"
)

// Limits on what people choose.
const (
	MinPassword    = 8  // characters
	AdvisePassword = 15 // characters from which it is called good
	MaxPassword    = 128
	MaxUserName    = MaxName
)
