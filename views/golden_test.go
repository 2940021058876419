package views

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"
	"github.com/google/go-cmp/cmp"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/query"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// TestGolden keeps an eye on every part: what changes in the HTML is seen in
// the review of its golden file.
func TestGolden(t *testing.T) {
	spriteText := render(context.Background(), t, sprite())
	w := plainWords
	for _, l := range i18n.Langs() {
		ctx := in(l)
		all := map[string]templ.Component{
			"layout":         Layout(testPage(ctx, SectionDashboard, true)),
			"filter":         filterBar(w.events()),
			"live-bar":       liveBar(testPage(ctx, SectionEvents, true), w.events()),
			"event-table":    eventTable(w.events(), 48213),
			"no-events":      noEvents(EventsData{Query: w.query()}),
			"drawer":         DrawerAside(w.drawer()),
			"alert-table":    alertTable(w.alerts().Alerts, 902),
			"alert-filters":  alertFilters(AlertsData{Query: query.Outbox{Status: models.EmailSent, Contact: w.contact}, Stats: testStats}),
			"alert":          AlertAside(*w.opened("pending", 0)),
			"alert-digest":   AlertAside(*w.digest()),
			"form":           Form(EventForm{Key: "k", Severity: "info"}),
			"preview":        previewCard(w.form(), CreateData{Recipients: []string{w.recipient}}),
			"preview-routed": previewCard(w.form(), CreateData{Routed: true}),
			"bulk":           bulkCard(CreateData{MaxImport: 5e6}),
			"first-event":    firstEvent(testSamples),
			"clear":          AttentionCard(models.Attention{}, now, at, false),
			"canary":         CanaryLine(models.CanaryState{Contact: "noc", Last: models.Canary{BegunAt: at, EndedAt: at, Stage: models.CanaryThrough}}),
			"canary-running": CanaryLine(models.CanaryState{Contact: "noc", Last: models.Canary{BegunAt: at, Stage: models.CanaryDelivered}}),
			"canary-failed":  CanaryLine(models.CanaryState{Contact: "noc", Last: models.Canary{BegunAt: at, EndedAt: at, Stage: models.CanaryDelivered, Detail: "email to noc@example.net: 550 no such user"}, LastThrough: at.Add(-time.Hour)}),
			"canary-none":    CanaryLine(models.CanaryState{Contact: "noc"}),
			"trouble":        Trouble(ErrorData{Status: 500, RequestID: "abc123"}),
		}
		for name, c := range frames(w) {
			all["frame-"+name] = c
		}
		all["activity"] = activityCard(ActivityData{Entries: w.entries(), Next: 7}, models.Range24h)
		all["user-menu"] = userMenu(signedIn(ctx, w, SectionAccount, false, models.RoleAdmin))
		for name, c := range all {
			golden(t, name+"."+l.String()+".golden.html", strings.ReplaceAll(render(ctx, t, c), spriteText, "<!-- icons -->"))
		}
		for name, c := range accessPages(ctx, w) {
			if strings.HasPrefix(name, "events") || strings.HasPrefix(name, "audit") {
				continue
			}
			_, content, _ := strings.Cut(render(ctx, t, c), "<main ")
			content, _, _ = strings.Cut(content, "</main>")
			golden(t, name+"."+l.String()+".golden.html", "<main "+content+"</main>")
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	got = strings.ReplaceAll(got, "><", ">\n<") + "\n"
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got); if it is meant to, run the test with -update:\n%s", path, diff)
	}
}
