package query

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"alerthub/models"
)

func TestParseOutbox(t *testing.T) {
	long := strings.Repeat("x", MaxText+1)
	for address, want := range map[string]struct {
		outbox   Outbox
		problems string // the fields
	}{
		"":                      {},
		"st=&ch=&contact=&mail": {},
		"st=failed&ch=webhook&contact=on-call+%26+co&mail=7&before=3": {Outbox{models.EmailFailed, models.DeliveryWebhook, "on-call & co", 7}, ""},
		"ch=email":                         {Outbox{Channel: models.DeliveryEmail}, ""},
		"contact=%ff":                      {Outbox{Contact: "\uFFFD"}, ""},
		"contact=" + long[1:]:              {Outbox{Contact: long[1:]}, ""},
		"st=x&ch=y&mail=0&contact=" + long: {Outbox{}, "st ch contact mail"},
		"mail=-1":                          {Outbox{}, "mail"},
		"mail=x&st=sent":                   {Outbox{Status: models.EmailSent}, "mail"},
	} {
		values, err := url.ParseQuery(address)
		if err != nil {
			t.Fatal(err)
		}
		got, problems := ParseOutbox(values)
		var fields []string
		for _, p := range problems {
			fields = append(fields, p.Field)
			if p.Reason == "" {
				t.Errorf("%q: no reason", address)
			}
		}
		if got != want.outbox || strings.Join(fields, " ") != want.problems {
			t.Errorf("%q: %+v, problems %v", address, got, problems)
		}
		if again, problems := ParseOutbox(got.Values()); again != got || len(problems) > 0 {
			t.Errorf("%q: read back as %+v, %v", address, again, problems)
		}
	}
}

func TestOutbox(t *testing.T) {
	o := Outbox{models.EmailFailed, models.DeliveryWebhook, "on-call", 7}
	if diff := cmp.Diff(models.EmailFilter{Status: models.EmailFailed, Channel: models.DeliveryWebhook, Contact: "on-call", MailID: 7}, o.Filter()); diff != "" {
		t.Errorf("filter (-want +got):\n%s", diff)
	}
	if got := o.URL("/alerts"); got != "/alerts?ch=webhook&contact=on-call&mail=7&st=failed" || (Outbox{}).URL("/alerts") != "/alerts" {
		t.Errorf("address %s", got)
	}
	for _, tt := range []struct {
		o            Outbox
		shows, moves bool
	}{
		{Outbox{}, true, false},
		{Outbox{Channel: models.DeliveryWebhook, Contact: "on-call"}, true, false},
		{Outbox{Channel: models.DeliveryEmail}, false, false},
		{Outbox{Contact: "noc"}, false, false},
		{Outbox{Status: models.EmailSent}, true, true},
		{Outbox{Mail: 7}, true, true},
	} {
		a := models.EmailAlert{Contact: "on-call", Channel: models.DeliveryWebhook, Status: models.EmailFailed}
		if got := tt.o.MayShow(&a); got != tt.shows || tt.o.Moves() != tt.moves {
			t.Errorf("%+v: may show it %v, moves %v", tt.o, got, tt.o.Moves())
		}
	}
}
