package views

import (
	"context"
	"slices"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/query"
)

// counted reports whether it is known how many alerts the list holds: that is
// kept for each channel, not for each contact.
func (d AlertsData) counted() bool { return d.Query.Contact == "" && d.Query.Mail == 0 }

// count is how many alerts of the list's channel have a status, "" for any.
func (d AlertsData) count(st models.EmailStatus) (n int64) {
	for _, s := range models.EmailStatuses() {
		if st != "" && st != s {
			continue
		}
		if d.Query.Channel != models.DeliveryWebhook {
			n += d.Stats.Email[s]
		}
		if d.Query.Channel != models.DeliveryEmail {
			n += d.Stats.Webhook[s]
		}
	}
	return n
}

// footWords is how many alerts a page lists, of how many; "" when that moves and
// is not known.
func footWords(ctx context.Context, d AlertsData) string {
	all, shown := d.count(d.Query.Status), int64(len(d.Alerts))
	if d.Before == 0 {
		shown = min(all, AlertsCap)
	}
	switch {
	case d.counted():
		return i18n.Number(ctx, shown) + " / " + i18n.Number(ctx, all)
	case d.Before == 0:
		return ""
	}
	return i18n.Number(ctx, shown)
}

// webhooks reports whether there is a choice of channels.
func (d AlertsData) webhooks() bool {
	if d.Query.Channel != "" {
		return true
	}
	for _, n := range d.Stats.Webhook {
		if n > 0 {
			return true
		}
	}
	return false
}

// contacts are those to choose from.
func (d AlertsData) contacts() []string {
	if chosen := d.Query.Contact; chosen != "" && !slices.Contains(d.Contacts, chosen) {
		return append(slices.Clone(d.Contacts), chosen)
	}
	return d.Contacts
}

// opened is the alert beside the list, 0 for none.
func (d AlertsData) opened() int64 {
	if d.Opened == nil {
		return 0
	}
	return d.Opened.Alert.ID
}

func (d AlertsData) withStatus(st models.EmailStatus) query.Outbox {
	d.Query.Status = st
	return d.Query
}

func (d AlertsData) withChannel(channel string) query.Outbox {
	d.Query.Channel = channel
	return d.Query
}

func (d AlertsData) withContact(name string) query.Outbox {
	d.Query.Contact = name
	return d.Query
}
