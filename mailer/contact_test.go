package mailer

import (
	stdcmp "cmp"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"alerthub/i18n"
	"alerthub/models"
)

// contacts knows these, and nobody else.
func contacts(known map[string]i18n.Lang) func(string) (i18n.Lang, bool) {
	return func(name string) (i18n.Lang, bool) {
		lang, ok := known[name]
		return lang, ok
	}
}

// to gives the newest row a contact.
func (o *memory) to(contact string) {
	o.set(func(o *memory) { o.rows[len(o.rows)-1].Alert.Contact = contact })
}

func TestCompose_InSpanish(t *testing.T) {
	m, err := compose("hub@example.net", due("núcleo", "Caída de tensión"), i18n.Spanish)
	if err != nil {
		t.Fatal(err)
	}
	p := parseMail(t, m.data)
	if p.Subject != "[NetworkAlertHub] Alert CRITICAL: núcleo" {
		t.Errorf("the subject is %q, want the one of every language", p.Subject)
	}
	want := "Network Alert Hub registró una alerta.\n\n" +
		"Evento:    42\nFecha:     2026-11-23 18:26:00 UTC\nOrigen:    núcleo\nSeveridad: CRITICAL\n\nMensaje:\nCaída de tensión\n"
	if diff := cmp.Diff(want, strings.ReplaceAll(p.Plain, "\r\n", "\n")); diff != "" {
		t.Errorf("plain part (-want +got):\n%s", diff)
	}
	for _, words := range []string{`<html lang="es">`, ">Severidad<", ">Mensaje<", "registró una alerta"} {
		if !strings.Contains(p.HTML, words) {
			t.Errorf("the HTML part lacks %s:\n%s", words, p.HTML)
		}
	}
}

func TestRun_WritesInTheContactsLanguage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, o, s := bench(t, Config{Language: contacts(map[string]i18n.Lang{"noc": i18n.Spanish, "on-call": i18n.English})})
		texts := map[string]string{}
		s.answer = func(_ context.Context, m message) (string, error) {
			texts[m.to] = m.data
			return "250 queued", nil
		}
		for i, contact := range []string{"noc", "on-call", ""} {
			o.add(int64(i+1), stdcmp.Or(contact, "nobody")+"@example.net", time.Now())
			o.to(contact)
		}
		start(t, w)
		synctest.Wait()
		for who, want := range map[string]string{"noc": "registró una alerta", "on-call": "recorded an alert", "nobody": "recorded an alert"} {
			if p := parseMail(t, texts[who+"@example.net"]); !strings.Contains(p.Plain, want) || !strings.Contains(p.HTML, want) {
				t.Errorf("the mail to %s does not say %q:\n%s", who, want, p.Plain)
			}
		}
	})
}

func TestRun_SkipsWhoseContactIsGone(t *testing.T) {
	for name, language := range map[string]func(string) (i18n.Lang, bool){
		"another file": contacts(map[string]i18n.Lang{"on-call": i18n.English}),
		"no file":      nil,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, o, s := bench(t, Config{Language: language})
				s.says(refused) // a pause of the server holds no answer back
				o.add(1, "ops@example.net", time.Now())
				o.add(2, "left@example.net", time.Now())
				o.to("guardia ñ")
				o.set(func(o *memory) { o.rows[1].Alert.Attempts = 3 })
				start(t, w)
				synctest.Wait()
				a := o.row(t, 2)
				if a.Status != models.EmailSkipped || a.Detail != "the contact guardia ñ is not in the routes file any more" || a.Attempts != 3 {
					t.Errorf("row %+v", a)
				}
				if a := o.row(t, 1); a.Status != models.EmailPending {
					t.Errorf("nobody's row %+v", a)
				}
				if tries := s.tried(); len(tries) != 1 || tries[0].to != "ops@example.net" || w.SentFail() != 0 {
					t.Errorf("tries %+v, %d failed", tries, w.SentFail())
				}
			})
		})
	}
}
