package webhook

import (
	"alerthub/models"
)

// pagerDutyURL is where events go when the webhook names no URL, as one of
// the European service region would.
const pagerDutyURL = "https://events.pagerduty.com/v2/enqueue"

// The bound of a summary, in characters.
const maxPagerDutySummary = 1024

type pagerDutyBody struct {
	RoutingKey string           `json:"routing_key"`
	Action     string           `json:"event_action"`
	DedupKey   string           `json:"dedup_key"`
	Client     string           `json:"client"`
	ClientURL  string           `json:"client_url,omitempty"`
	Payload    pagerDutyPayload `json:"payload"`
	Links      []pagerDutyLink  `json:"links,omitempty"`
}

type pagerDutyPayload struct {
	Summary   string            `json:"summary"`
	Source    string            `json:"source"`
	Severity  string            `json:"severity"`
	Timestamp string            `json:"timestamp"`
	Details   map[string]string `json:"custom_details"`
}

type pagerDutyLink struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

// composePagerDuty triggers an alert
// (https://developer.pagerduty.com/docs/send-alert-event). The key that drops
// duplicates names the row: a repeat after a fault is the same alert, another
// event of the source is another one. Nothing resolves it from here.
func composePagerDuty(l letter, w models.Webhook, n models.Notice) (call, error) {
	severity := l.severity
	if !severity.Valid() {
		severity = models.SeverityError // others are refused
	}
	summary := l.title
	if l.message != "" {
		summary += ": " + oneLine(l.message)
	}
	body := pagerDutyBody{
		RoutingKey: w.Token, Action: "trigger", DedupKey: "alerthub-" + deliveryID(n.Alert),
		Client: "Network Alert Hub", ClientURL: l.link,
		Payload: pagerDutyPayload{
			Summary: cut(summary, maxPagerDutySummary), Source: source(n.Event.Source), Severity: string(severity),
			Timestamp: models.FormatTime(n.Event.CreatedAt), Details: map[string]string{"text": l.text()},
		},
	}
	if l.link != "" {
		body.Links = []pagerDutyLink{{Href: l.link, Text: l.open}}
	}
	return call{url: w.URL, body: body}, nil
}
