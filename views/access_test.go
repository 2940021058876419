package views

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"
	"golang.org/x/net/html"

	"alerthub/i18n"
	"alerthub/models"
)

func (w words) user() models.User {
	return models.User{ID: 3, Name: w.name, Role: models.RoleAdmin, CreatedAt: at, TwoFactor: true, Recovery: 7}
}

func (w words) sessions() []models.Session {
	return []models.Session{
		{ID: 11, UserID: 3, BegunAt: at, ExpiresAt: at.Add(12 * time.Hour), Address: w.peer, Agent: w.text, Current: true},
		{ID: 10, UserID: 3, BegunAt: at.Add(-24 * time.Hour), ExpiresAt: at.Add(time.Hour), Address: w.peer},
	}
}

func (w words) people() PeopleData {
	ben := models.User{ID: 4, Name: "ben", Role: models.RoleViewer, CreatedAt: at, DisabledAt: at.Add(time.Minute)}
	return PeopleData{People: []PersonRow{{w.user(), 2}, {ben, 0}}}
}

func (w words) keys() KeysData {
	key := KeyRow{
		ID: 5, Name: w.name, Hint: w.text, Scopes: []models.Scope{models.ScopeIngest, models.ScopeRead}, Sources: []string{w.source, "sw-*"},
		CreatedBy: w.contact, CreatedAt: at, ExpiresAt: at.Add(24 * time.Hour), LastUsedAt: at, LastUsedFrom: w.peer,
	}
	fresh, old, gone := key, key, key
	fresh.ID, fresh.Sources, fresh.ExpiresAt, fresh.LastUsedAt = 6, nil, time.Time{}, time.Time{}
	old.ID, old.ExpiresAt = 7, at.Add(-time.Hour)
	gone.ID, gone.RevokedAt = 8, at
	sender := SenderRow{Address: w.peer, FirstAt: at.Add(-24 * time.Hour), LastAt: at, Events: 1204, LastSource: w.source, Allowed: true}
	late := sender
	late.Allowed = false
	return KeysData{Keys: []KeyRow{key, fresh, old, gone}, Anonymous: []SenderRow{sender, late}, Ranges: "127.0.0.0/8, ::1/128"}
}

// entries are a line of the audit log for every action, and one that this
// version does not know.
func (w words) entries() []models.AuditEntry {
	objects := []string{"", "event 12", "events 12", "events", "alert 902", "alerts 3", "user " + w.name, "key " + w.name, "audit log", "session 7", "all other sessions", w.text}
	var entries []models.AuditEntry
	for i, action := range append(models.AuditActions(), models.AuditAction(w.severity)) {
		entries = append(entries, models.AuditEntry{
			ID: int64(i), At: at, Kind: models.ActorUser, Actor: w.name, Address: w.peer, Action: action, Object: objects[i%len(objects)], Detail: w.detail,
		})
	}
	entries[0].Kind, entries[0].Actor, entries[0].Address = models.ActorLocal, "", ""
	entries[1].Kind, entries[1].Actor = models.ActorOpen, ""
	entries[2].Kind, entries[2].Actor = models.ActorHub, ""
	return entries
}

// signedIn is testPage as somebody sees it who has signed in.
func signedIn(ctx context.Context, w words, s Section, live bool, role models.Role) Page {
	p := testPage(ctx, s, live)
	p.Actor = models.Actor{Kind: models.ActorUser, ID: 3, Name: w.name, Role: role}
	return p
}

// accessPages are the pages of access, in all their states, and others as
// those see them who have signed in.
func accessPages(ctx context.Context, w words) map[string]templ.Component {
	bare := testPage(ctx, SectionNone, false)
	bare.Bare, bare.Actor = true, models.Actor{Kind: models.ActorNobody}
	page := func(s Section) Page { return signedIn(ctx, w, s, false, models.RoleAdmin) }
	wrong := map[string]string{
		"current": w.detail, "password": w.detail, "repeat": w.detail, "totp": w.detail, "code": w.detail, "name": w.detail, "role": w.detail,
		"disable": w.detail, "scopes": w.detail, "sources": w.detail, "expires": w.detail, "anonymous": w.detail,
	}
	self, off := AccountData{User: w.user(), Sessions: w.sessions()}, AccountData{User: w.user(), Sessions: w.sessions()[:1], Errors: wrong}
	off.User.TwoFactor = false
	turning, turned := off, self
	turning.TOTP = &TOTPData{Secret: w.text, URI: "otpauth://totp/x?secret=JBSW"}
	turned.TOTP = &TOTPData{Codes: []string{w.text, "k7x2-99ab"}}
	badPeople := w.people()
	badPeople.Form, badPeople.Errors = PersonForm{w.name, models.RoleOperator}, wrong
	disabled := w.people().People[1]
	made, tried, harmless := w.keys(), w.keys(), w.keys()
	made.Secret = w.payload
	tried.Tried, tried.Try, tried.Errors, tried.Anonymous[1].WouldRefuse = true, w.text, wrong, true
	tried.Form = KeyForm{w.name, []models.Scope{models.ScopeAdmin}, w.source, ExpiresNever}
	harmless.Tried, harmless.Try = true, "none"
	recorded := testAudit
	recorded.Activity = &ActivityData{Entries: w.entries(), Next: 7}
	older := testAudit
	older.Activity = &ActivityData{Filter: models.AuditFilter{Before: 7, Actor: w.name, Action: models.AuditAck}}
	return map[string]templ.Component{
		"audit-activity":   Audit(signedIn(ctx, w, SectionAudit, true, models.RoleOperator), recorded),
		"audit-past":       Audit(signedIn(ctx, w, SectionAudit, true, models.RoleOperator), older),
		"login":            Login(bare, LoginData{}),
		"login-wrong":      Login(bare, LoginData{Name: w.name, Next: w.text, Error: w.detail}),
		"login-code":       Login(bare, LoginData{Next: w.text, Error: w.detail, Code: true}),
		"login-code-plain": Login(bare, LoginData{Code: true}),
		"setup":            Setup(bare, SetupData{Token: w.text, Name: w.name, Error: w.detail}),
		"account":          Account(page(SectionAccount), self),
		"account-off":      Account(page(SectionAccount), off),
		"account-turning":  Account(page(SectionAccount), turning),
		"account-turned":   Account(page(SectionAccount), turned),
		"people":           People(page(SectionPeople), w.people()),
		"people-none":      People(page(SectionPeople), PeopleData{}),
		"people-wrong":     People(page(SectionPeople), badPeople),
		"person":           Person(page(SectionPeople), PersonData{PersonRow: w.people().People[0]}),
		"person-self":      Person(page(SectionPeople), PersonData{PersonRow: w.people().People[0], Self: true, Errors: wrong}),
		"person-disabled":  Person(page(SectionPeople), PersonData{PersonRow: disabled, Errors: wrong}),
		"ask-sign-out":     AskAccess(page(SectionPeople), AskData{AskSignOut, 3, w.name}),
		"ask-reset":        AskAccess(page(SectionPeople), AskData{AskReset, 3, w.name}),
		"ask-disable":      AskAccess(page(SectionPeople), AskData{AskDisable, 3, w.name}),
		"ask-enable":       AskAccess(page(SectionPeople), AskData{AskEnable, 3, w.name}),
		"ask-revoke":       AskAccess(page(SectionKeys), AskData{AskRevoke, 5, w.name}),
		"keys":             Keys(page(SectionKeys), w.keys()),
		"keys-none":        Keys(page(SectionKeys), KeysData{}),
		"keys-made":        Keys(page(SectionKeys), made),
		"keys-tried":       Keys(page(SectionKeys), tried),
		"keys-harmless":    Keys(page(SectionKeys), harmless),
		"events-viewer":    Events(signedIn(ctx, w, SectionEvents, true, models.RoleViewer), w.events()),
		"events-operator":  Events(signedIn(ctx, w, SectionEvents, true, models.RoleOperator), w.events()),
	}
}

// isBare reports whether a page of accessPages is for those who have not
// signed in.
func isBare(name string) bool { return strings.HasPrefix(name, "login") || name == "setup" }

// isViewers reports whether it is for somebody who may only read.
func isViewers(name string) bool { return strings.HasSuffix(name, "-viewer") }

// Who has not signed in learns nothing of the hub but its name.
func TestBarePages_tellNothing(t *testing.T) {
	eachPage(t, func(t *testing.T, name string, _ i18n.Lang, doc *html.Node) {
		if !isBare(name) {
			return
		}
		for _, id := range []string{"notices", "n-crit", "n-fail", "ack", "dlg-name", "user"} {
			if byID(doc, id) != nil {
				t.Errorf("#%s is there", id)
			}
		}
		if said := text(elements(doc, "body")[0]); strings.Contains(said, "1.2.3") {
			t.Errorf("the version is told: %s", said)
		}
	})
}

// Passwords and codes are filled in by programs and by pasting, never kept in
// the page, and never cut.
func TestAccessPages_letPasswordsBePasted(t *testing.T) {
	found := map[string]bool{}
	eachPage(t, func(t *testing.T, _ string, _ i18n.Lang, doc *html.Node) {
		for _, n := range elements(doc, "input") {
			kind := attr(n, "autocomplete")
			if attr(n, "type") != "password" && kind != "one-time-code" {
				continue
			}
			found[kind] = true
			if _, cut := lookup(n, "maxlength"); cut || attr(n, "value") != "" || (kind != "current-password" && kind != "new-password" && kind != "one-time-code") {
				t.Errorf("%v", n.Attr)
			}
		}
	})
	if len(found) != 3 {
		t.Errorf("there are only %v", found)
	}
}

// The header offers what its reader may do, and says whether anybody is asked.
func TestHeader_followsTheActor(t *testing.T) {
	ctx := in(i18n.English)
	for _, test := range []struct {
		actor                            models.Actor
		menu, access, create, open, read bool
	}{
		{models.Actor{Kind: models.ActorOpen}, false, false, true, true, false},
		{models.Actor{Kind: models.ActorUser, Role: models.RoleAdmin}, true, true, true, false, false},
		{models.Actor{Kind: models.ActorUser, Role: models.RoleOperator}, true, false, true, false, false},
		{models.Actor{Kind: models.ActorUser, Role: models.RoleViewer}, true, false, false, false, true},
		{models.Actor{Kind: models.ActorNobody}, false, false, false, false, true},
	} {
		p := testPage(ctx, SectionEvents, true)
		p.Actor = test.actor
		page := render(ctx, t, Events(p, plainWords.events()))
		doc := parse(t, page)
		_, read := lookup(elements(doc, "html")[0], "data-may")
		for what, got := range map[string][2]bool{
			"menu":    {byID(doc, "user") != nil, test.menu},
			"access":  {strings.Contains(page, `href="/access/people"`), test.access},
			"create":  {strings.Contains(text(elements(doc, "nav")[0]), "Create event"), test.create},
			"open":    {strings.Contains(page, "alerthub user add NAME --role admin"), test.open},
			"ack":     {byID(doc, "ack") != nil, !test.read},
			"read":    {read, test.read},
			"signout": {strings.Contains(page, `action="/logout"`), test.menu},
		} {
			if got[0] != got[1] {
				t.Errorf("%+v: %s is there: %v", test.actor, what, got[0])
			}
		}
	}
}

// Every refusal has words of its own, in both languages.
func TestRefusalWords_areAllDifferent(t *testing.T) {
	for _, l := range i18n.Langs() {
		said := map[string]Refusal{}
		for _, r := range []Refusal{
			RefusedSignIn, RefusedCode, RefusedLate, RefusedSetup, RefusedCurrent, RefusedShort, RefusedLong, RefusedCommon, RefusedRepeat,
			RefusedName, RefusedTaken, RefusedRole, RefusedLastAdmin, RefusedSelf, RefusedScopes, RefusedSources, RefusedExpiry, RefusedRanges,
		} {
			words := RefusalWords(in(l), r)
			if other, twice := said[words]; twice || keyLike.MatchString(words) {
				t.Errorf("%s: %q is said of %s and %s", l, words, other, r)
			}
			said[words] = r
		}
	}
	for wait, want := range map[time.Duration]string{
		0: "again in 1 second.", time.Second: "again in 1 second.", 1500 * time.Millisecond: "again in 2 seconds.", time.Minute: "again in 60 seconds.",
	} {
		if got := WaitWords(in(i18n.English), wait); !strings.HasSuffix(got, want) {
			t.Errorf("%s: %q", wait, got)
		}
	}
}
