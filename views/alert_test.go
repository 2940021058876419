package views

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/query"
)

func TestDetailWords(t *testing.T) {
	for text, spanish := range map[string]string{
		"gathered with what follows on a message about the same source": "reunido con lo que sigue a un mensaje sobre el mismo origen",
		"waits for a digest: the limit by the hour is reached":          "espera un resumen: se alcanzó el límite por hora",
		"held back in the quiet hours":                                  "retenido durante las horas de silencio",
		"told in the digest of alert 902":                               "comunicado en el resumen de la alerta 902",
		"cancelled by Ana % Ruíz":                                       "cancelado por Ana % Ruíz",
		"to be tried again: Ana":                                        "se reintenta a petición de Ana",
		"the contact noc is not in the routes file any more":            "el contacto noc ya no está en el archivo de rutas",
		"the contact noc has no webhook chat any more":                  "el contacto noc ya no tiene el webhook chat",
		"no route matches":                                              "ninguna ruta encaja",
		"email is not configured: SMTP_HOST, SMTP_TO not set":           "el correo no está configurado: falta SMTP_HOST, SMTP_TO",
		"gave up after 24h0m0s: its turn did not come":                  "abandonado tras 24h0m0s: no llegó su turno",
		"gave up after 24h0m0s: 535 refused: again":                     "abandonado tras 24h0m0s: 535 refused: again",
		"the outbox cannot be read or written":                          "no se puede leer ni escribir la bandeja de salida",
		"imported":                                                      "importado",
		// Anything else is somebody else's words.
		"":                                    "",
		"250 2.0.0 Ok":                        "250 2.0.0 Ok",
		"no route matches here":               "no route matches here",
		"Cancelled by Ana":                    "Cancelled by Ana",
		"the contact noc is not in the file":  "the contact noc is not in the file",
		"the contact noc has no webhook chat": "the contact noc has no webhook chat",
		"550 cancelled by the user":           "550 cancelled by the user",
	} {
		if got := detailWords(in(i18n.Spanish), text); got != spanish {
			t.Errorf("%q is %q in Spanish, want %q", text, got, spanish)
		}
		if got := detailWords(in(i18n.English), text); got != text {
			t.Errorf("%q is %q in English", text, got)
		}
	}
}

// The sentences are those that the hub writes: each stands in its source.
func TestDetails_areThoseOfTheHub(t *testing.T) {
	var source strings.Builder
	for _, room := range []string{"notify", "store", "hub", "routes", "wire"} {
		files, err := filepath.Glob("../" + room + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", room, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(file, "_test.go") {
				source.Write(text)
			}
		}
	}
	for _, d := range details() {
		for part := range strings.SplitSeq(d.pattern, "%") {
			if part = strings.Trim(part, ": "); !strings.Contains(source.String(), part) {
				t.Errorf("nobody writes %q of %q", part, d.pattern)
			}
		}
	}
}

// What is offered depends on what became of an alert.
func TestAlert_saysWhatBecameOfIt(t *testing.T) {
	alert := func(status models.EmailStatus, change func(*models.EmailAlert)) *models.EmailAlert {
		a := models.EmailAlert{ID: 902, Status: status, Detail: "held back in the quiet hours", UpdatedAt: at, CreatedAt: at}
		change(&a)
		return &a
	}
	none := func(*models.EmailAlert) {}
	for name, tt := range map[string]struct {
		alert *models.EmailAlert
		want  string
	}{
		"sent":                {alert(models.EmailSent, func(a *models.EmailAlert) { a.Detail, a.MailID = "250 Ok", 902 }), "Sent 250 Ok"},
		"skipped":             {alert(models.EmailSkipped, func(a *models.EmailAlert) { a.Detail, a.MailID = "no route matches", 900 }), "Skipped no route matches"},
		"digested":            {alert(models.EmailDigested, func(a *models.EmailAlert) { a.Detail, a.MailID = "told in the digest of alert 900", 900 }), "Digested In the message of alert #900"},
		"failed with it":      {alert(models.EmailFailed, func(a *models.EmailAlert) { a.Detail, a.MailID = "550 no", 900 }), "Failed In the message of alert #900 550 no"},
		"cancelled":           {alert(models.EmailCancelled, func(a *models.EmailAlert) { a.Detail, a.MailID = "cancelled by Ana", 900 }), "Cancelled cancelled by Ana"},
		"waits":               {alert(models.EmailPending, func(a *models.EmailAlert) { a.NextAttemptAt = at.Add(time.Minute) }), "Pending held back in the quiet hours Waits until 09:42:52."},
		"waits for a try":     {alert(models.EmailPending, func(a *models.EmailAlert) { a.NextAttemptAt, a.Attempts = at.Add(time.Minute), 2 }), "Pending held back in the quiet hours Next attempt at 09:42:52."},
		"is due":              {alert(models.EmailPending, func(a *models.EmailAlert) { a.NextAttemptAt, a.Detail = at, "" }), "Pending"},
		"was told before any": {alert(models.EmailPending, none), "Pending held back in the quiet hours"},
	} {
		if got := text(parse(t, render(in(i18n.English), t, alertState(tt.alert)))); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// The event's page tells the same of each of its alerts, and leads to it.
func TestDrawer_leadsToItsAlerts(t *testing.T) {
	d := plainWords.drawer()
	d.Alerts[0].Status, d.Alerts[0].MailID = models.EmailDigested, 700
	doc := parse(t, render(in(i18n.English), t, DrawerAside(d)))
	var links []string
	for _, a := range elements(doc, "a") {
		if href := attr(a, "href"); strings.HasPrefix(href, "/alerts/") {
			links = append(links, href)
		}
	}
	if got, want := strings.Join(links, " "), "/alerts/902 /alerts/700 /alerts/901 /alerts/900 /alerts/899"; got != want {
		t.Errorf("links %s, want %s", got, want)
	}
	if words := text(doc); !strings.Contains(words, "In the message of alert #700") || !strings.Contains(words, "Next attempt at 09:42:52.") {
		t.Errorf("it tells %q", words)
	}
}

func TestNotices_tellOfPauses(t *testing.T) {
	mail := models.Pause{Lane: models.Lane{Channel: models.DeliveryEmail}, Reason: "535 refused", Since: at}
	hook := func(name string, after time.Duration) models.Pause {
		return models.Pause{Lane: models.Lane{Channel: models.DeliveryWebhook, Contact: "noc", Recipient: name}, Reason: "503 of " + name, Since: at.Add(after)}
	}
	for name, tt := range map[string]struct {
		health           models.Health
		counts           HeaderData
		english, spanish string
	}{
		"none": {},
		"mail": {
			models.Health{Email: "535 refused", Pauses: []models.Pause{mail}},
			HeaderData{WaitingEmails: 12, WaitingWebhooks: 5},
			"No email has got through since 09:41:52. 535 refused · 12 alerts wait. It is tried again by itself.",
			"No sale ningún correo (desde 09:41:52). 535 refused · 12 alertas esperan. Se reintenta por sí solo.",
		},
		"mail, nothing waits": {
			models.Health{Pauses: []models.Pause{mail}}, HeaderData{},
			"No email has got through since 09:41:52. 535 refused · It is tried again by itself.",
			"No sale ningún correo (desde 09:41:52). 535 refused · Se reintenta por sí solo.",
		},
		"mail, since when is not known": {
			models.Health{Email: "the outbox cannot be read or written"}, HeaderData{WaitingEmails: 1},
			"Emails do not get through. the outbox cannot be read or written · 1 alert waits. It is tried again by itself.",
			"Los correos no salen. no se puede leer ni escribir la bandeja de salida · 1 alerta espera. Se reintenta por sí solo.",
		},
		"webhooks": {
			models.Health{Pauses: []models.Pause{hook("b", 0), hook("a", -48*time.Hour), hook("c", time.Second), hook("d", time.Minute)}},
			HeaderData{WaitingEmails: 12, WaitingWebhooks: 5},
			"Nothing has reached a (noc), b (noc), c (noc) and 1 more since Sun 22 Feb 09:41:52. 503 of a · 5 alerts wait. It is tried again by itself.",
			"Nada llega a a (noc), b (noc), c (noc) y 1 más (desde dom 22 feb 09:41:52). 503 of a · 5 alertas esperan. Se reintenta por sí solo.",
		},
	} {
		for l, want := range map[i18n.Lang]string{i18n.English: tt.english, i18n.Spanish: tt.spanish} {
			if got := text(parse(t, render(in(l), t, Notices(tt.health, tt.counts, false)))); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	}
}

// Only what the list shows is counted.
func TestAlerts_countWhatTheyList(t *testing.T) {
	stats := models.Stats{
		Email:   map[models.EmailStatus]int64{models.EmailSent: 100, models.EmailFailed: 20},
		Webhook: map[models.EmailStatus]int64{models.EmailSent: 3, models.EmailPending: 4},
	}
	for _, tt := range []struct {
		q         query.Outbox
		all, sent int64
		foot      string
	}{
		{query.Outbox{}, 127, 103, "100 / 127"},
		{query.Outbox{Status: models.EmailSent}, 127, 103, "100 / 103"},
		{query.Outbox{Channel: models.DeliveryEmail}, 120, 100, "100 / 120"},
		{query.Outbox{Channel: models.DeliveryWebhook, Status: models.EmailPending}, 7, 3, "4 / 4"},
		{query.Outbox{Contact: "noc"}, 127, 103, ""},
		{query.Outbox{Mail: 7}, 127, 103, ""},
	} {
		d := AlertsData{Stats: stats, Query: tt.q}
		if all, sent := d.count(""), d.count(models.EmailSent); all != tt.all || sent != tt.sent || footWords(in(i18n.English), d) != tt.foot {
			t.Errorf("%+v: %d in all, %d sent, %q", tt.q, all, sent, footWords(in(i18n.English), d))
		}
	}
	header := HeaderOf(models.Stats{
		Email:   map[models.EmailStatus]int64{models.EmailFailed: 1, models.EmailPending: 2},
		Webhook: map[models.EmailStatus]int64{models.EmailFailed: 30, models.EmailPending: 4},
	}, 7)
	if want := (HeaderData{Critical: 7, FailedAlerts: 31, WaitingEmails: 2, WaitingWebhooks: 4}); header != want {
		t.Errorf("the header counts %+v", header)
	}
}

// Cancelled ones are a figure of their own when there are any.
func TestAlertFigures_tellWhatThereIs(t *testing.T) {
	labels := func(counts [6]int64) string {
		var all []string
		for _, dt := range elements(parse(t, render(in(i18n.English), t, AlertFigures(AlertsData{Counts: models.Counts{Email: counts}}, false))), "dt") {
			all = append(all, text(dt))
		}
		return strings.Join(all, ", ")
	}
	if got := labels([6]int64{1, 2, 3, 4, 5, 0}); got != "Sent, Failed, Skipped, Digested, Delivery rate, In queue" {
		t.Error(got)
	}
	if got := labels([6]int64{0, 0, 0, 0, 0, 1}); got != "Sent, Failed, Skipped, Digested, Cancelled, Delivery rate, In queue" {
		t.Error(got)
	}
}
