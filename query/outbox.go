package query

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"alerthub/models"
)

// Outbox is which alerts a person asked to see. The zero value asks for all.
// It is comparable.
type Outbox struct {
	Status  models.EmailStatus // "" for all
	Channel string             // "" for all
	Contact string             // "" for all
	Mail    int64              // only those that the message of this one tells of; 0 for all
}

// ParseOutbox reads the parameters st, ch, contact and mail, by the rules of
// Parse.
func ParseOutbox(values url.Values) (Outbox, []Problem) {
	p := parser{values: values}
	var o Outbox
	if st := models.EmailStatus(values.Get("st")); st.Valid() {
		o.Status = st
	} else if st != "" {
		words := make([]string, len(models.EmailStatuses()))
		for i, known := range models.EmailStatuses() {
			words[i] = string(known)
		}
		p.problem("st", "must be one of "+strings.Join(words, ", "))
	}
	channels := []string{models.DeliveryEmail, models.DeliveryWebhook}
	if ch := values.Get("ch"); slices.Contains(channels, ch) {
		o.Channel = ch
	} else if ch != "" {
		p.problem("ch", "must be one of "+strings.Join(channels, ", "))
	}
	if contact := values.Get("contact"); len(contact) <= MaxText {
		o.Contact = strings.ToValidUTF8(contact, "\uFFFD")
	} else {
		p.problem("contact", "is too long to be one")
	}
	if text := values.Get("mail"); text != "" {
		if id, err := strconv.ParseInt(text, 10, 64); err == nil && id > 0 {
			o.Mail = id
		} else {
			p.problem("mail", "must be the number of an alert")
		}
	}
	return o, p.problems
}

// Filter is what o selects, without ids and limit.
func (o Outbox) Filter() models.EmailFilter {
	return models.EmailFilter{Status: o.Status, Channel: o.Channel, Contact: o.Contact, MailID: o.Mail}
}

// MayShow reports whether o may select a at some time of its life: what never
// changes in it is as o asks.
func (o Outbox) MayShow(a *models.EmailAlert) bool {
	return (o.Channel == "" || o.Channel == a.Channel) && (o.Contact == "" || o.Contact == a.Contact)
}

// Moves reports whether alerts come and go while o stays as it is: it asks for
// what changes in them.
func (o Outbox) Moves() bool { return o.Status != "" || o.Mail != 0 }

// URL is the address of path for o.
func (o Outbox) URL(path string) string {
	if values := o.Values(); len(values) > 0 {
		return path + "?" + values.Encode()
	}
	return path
}

// Values is o as parameters; ParseOutbox reads them back.
func (o Outbox) Values() url.Values {
	values := url.Values{}
	set := func(name, value string) {
		if value != "" {
			values.Set(name, value)
		}
	}
	set("st", string(o.Status))
	set("ch", o.Channel)
	set("contact", o.Contact)
	if o.Mail != 0 {
		set("mail", strconv.FormatInt(o.Mail, 10))
	}
	return values
}
