package e2e

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"alerthub/models"
)

// guess tries a wrong password from an address, which claims to be another
// one, and tells how long that took.
func guess(t *testing.T, p *process, from, name string) (reply, time.Duration) {
	t.Helper()
	g := newGuest(t, p, from)
	for _, header := range []string{"X-Forwarded-For", "X-Real-IP", "True-Client-IP"} {
		g.header.Set(header, fmt.Sprintf("10.0.%d.%d", time.Now().UnixNano()%250, len(from)))
	}
	g.header.Set("Forwarded", "for=10.9.8.7")
	start := time.Now()
	got := g.signIn(name, "not the password")
	return got, time.Since(start)
}

// slowedDown reports whether who guessed was told to wait, and for how long.
func slowedDown(t *testing.T, got reply) bool {
	t.Helper()
	if got.Status != http.StatusTooManyRequests {
		if got.Status != http.StatusUnauthorized {
			t.Fatalf("a guess: %d %.300s", got.Status, got.Body)
		}
		return false
	}
	if wait, err := strconv.Atoi(got.Header.Get("Retry-After")); err != nil || wait < 1 || wait > 60 {
		t.Errorf("Retry-After: %q", got.Header.Get("Retry-After"))
	}
	return true
}

// untilSlowed guesses until that is slowed down. It tells how many guesses
// were looked at, and when the last of them began.
func untilSlowed(t *testing.T, try func() reply) (guesses int, since time.Time) {
	t.Helper()
	for guesses = range 60 {
		began := time.Now()
		if slowedDown(t, try()) {
			return guesses, since
		}
		since = began
	}
	t.Fatalf("%d guesses were not slowed down", guesses)
	return 0, since
}

// whileSlowed guesses until that is slowed down, and then asks for more that
// must be refused too. On a busy machine the first delay, a second, may be over
// before all is asked: then it starts anew.
func whileSlowed(t *testing.T, try func() reply, asks ...func() reply) {
	t.Helper()
	for range 5 {
		guesses, since := untilSlowed(t, try)
		var got []reply
		for _, ask := range asks {
			got = append(got, ask())
		}
		if time.Since(since) >= time.Second {
			continue
		}
		if guesses < 3 {
			t.Errorf("slowed down after %d guesses: people mistype", guesses)
		}
		for i, r := range got {
			if r.Status != http.StatusTooManyRequests || r.Header.Get("Retry-After") == "" {
				t.Errorf("question %d while guessing is slowed down: %d %v", i, r.Status, r.Header)
			}
		}
		return
	}
	t.Log("this machine is too busy to ask for anything within a second")
}

// TestAccess_GuessingIsSlow guesses passwords from one address and from many,
// all of which claim to be others; who is known from before still gets in.
func TestAccess_GuessingIsSlow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := startHub(t, options{dir: dir})
	for _, name := range []string{"ana", "ben", "carla"} {
		addUser(t, dir, name, models.RoleViewer)
	}
	signedIn(t, p, "127.0.1.1", "ana") // from where ana is known
	n := 0
	next := func() string { n++; return fmt.Sprintf("127.1.%d.%d", n/200, 1+n%200) } // an address that nobody had before

	// One address, which tries many names; then even the right password waits.
	script := newGuest(t, p, "127.0.2.1")
	script.header.Set("Accept", "application/json")
	whileSlowed(t,
		func() reply { n++; got, _ := guess(t, p, "127.0.2.1", fmt.Sprintf("name-%d", n)); return got },
		func() reply { return newGuest(t, p, "127.0.2.1").signIn("ben", password) },
		func() reply {
			return script.send(http.MethodPost, "/api/token", "application/json", `{"username":"ben","password":"`+password+`"}`)
		})
	if got := newGuest(t, p, "127.0.2.2").signIn("ben", password); got.Status != http.StatusSeeOther {
		t.Errorf("the right password from elsewhere: %d", got.Status)
	}

	// Many addresses, which try one name, whether somebody has it or not.
	for _, name := range []string{"nobody-at-all", "ana"} {
		whileSlowed(t,
			func() reply { got, _ := guess(t, p, next(), name); return got },
			func() reply { return newGuest(t, p, next()).signIn(name, password) })
	}
	if got := newGuest(t, p, "127.0.1.1").signIn("ana", password); got.Status != http.StatusSeeOther {
		t.Errorf("ana from where she is known: %d", got.Status)
	}

	// Nobody learns who there is: not by the answer, not by the time it takes.
	answers, quickest := map[string]string{}, map[string]time.Duration{}
	for range 4 {
		for _, name := range []string{"carla", "karla"} {
			got, took := guess(t, p, next(), name)
			if slowedDown(t, got) {
				t.Fatalf("%s is slowed down at once", name)
			}
			answers[name] = strings.ReplaceAll(got.Body, name, "NAME")
			if quickest[name] == 0 || took < quickest[name] {
				quickest[name] = took
			}
		}
	}
	if answers["carla"] != answers["karla"] || !strings.Contains(answers["carla"], "NAME") {
		t.Errorf("for who there is:\n%s\nfor who there is not:\n%s", answers["carla"], answers["karla"])
	}
	if a, b := quickest["carla"], quickest["karla"]; a > 3*b || b > 3*a {
		t.Errorf("%v for who there is, %v for who there is not", a, b)
	}
	t.Logf("%v for who there is, %v for who there is not", quickest["carla"], quickest["karla"])
	if log := p.log.String(); !strings.Contains(log, `"peer":"127.0.2.1"`) || strings.Contains(log, "10.0.") || strings.Contains(log, "10.9.8.7") {
		t.Error("the log does not tell who guessed")
	}
}
