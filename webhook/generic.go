package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"alerthub/models"
)

// The headers of kind generic.
const (
	headerDelivery  = "X-Alerthub-Delivery"
	headerTimestamp = "X-Alerthub-Timestamp"
	headerSignature = "X-Alerthub-Signature"
)

// genericVersion is raised when a receiver would have to change.
const genericVersion = 1

// genericBody is the JSON of our own, documented in docs/webhooks.md. What
// devices said is in it as it is: its readers are programs.
type genericBody struct {
	Version  int            `json:"version"`
	Delivery string         `json:"delivery"`
	AlertID  int64          `json:"alert_id"`
	Contact  string         `json:"contact"`
	Title    string         `json:"title"`
	Link     string         `json:"link,omitempty"`
	Event    genericEvent   `json:"event"`
	Digest   *genericDigest `json:"digest,omitempty"`
}

type genericEvent struct {
	ID        int64  `json:"id"`
	CreatedAt string `json:"created_at"`
	Source    string `json:"source"`
	Severity  string `json:"severity"`
	Message   string `json:"message"`
	Channel   string `json:"channel"`
}

type genericDigest struct {
	Reason       string          `json:"reason"`
	From         string          `json:"from"`
	To           string          `json:"to"`
	Events       int64           `json:"events"`
	Severity     genericCounts   `json:"severity"`
	Sources      []genericSource `json:"sources"`
	OtherSources int             `json:"other_sources"`
	Newest       []genericEvent  `json:"newest"`
}

type genericCounts struct {
	Info     int64 `json:"info"`
	Warning  int64 `json:"warning"`
	Error    int64 `json:"error"`
	Critical int64 `json:"critical"`
}

type genericSource struct {
	Source   string        `json:"source"`
	Severity genericCounts `json:"severity"`
}

func composeGeneric(l letter, w models.Webhook, n models.Notice) (call, error) {
	header := http.Header{headerDelivery: {deliveryID(n.Alert)}}
	if w.Token != "" {
		header.Set("Authorization", "Bearer "+w.Token)
	}
	body := genericBody{
		Version: genericVersion, Delivery: deliveryID(n.Alert), AlertID: n.Alert.ID, Contact: n.Contact.Name,
		Title: l.title, Link: l.link, Event: newGenericEvent(n.Event),
	}
	if d := n.Digest; d != nil {
		body.Digest = newGenericDigest(d)
	}
	return call{url: w.URL, header: header, body: body}, nil
}

func newGenericEvent(e models.Event) genericEvent {
	return genericEvent{
		ID: e.ID, CreatedAt: models.FormatTime(e.CreatedAt), Source: e.Source, Severity: string(e.Severity),
		Message: e.Message, Channel: string(e.Channel),
	}
}

func newGenericDigest(d *models.Digest) *genericDigest {
	g := &genericDigest{
		Reason: string(d.Reason), From: models.FormatTime(d.From), To: models.FormatTime(d.To), Events: d.Total(),
		Severity: newGenericCounts(d.Severity), OtherSources: d.OtherSources,
		Sources: []genericSource{}, Newest: []genericEvent{},
	}
	named := d.Sources[:min(len(d.Sources), models.MaxDigestSources)]
	g.OtherSources += len(d.Sources) - len(named)
	for _, c := range named {
		g.Sources = append(g.Sources, genericSource{c.Source, newGenericCounts(c.Severity)})
	}
	for _, e := range d.Newest[:min(len(d.Newest), models.MaxDigestNewest)] {
		g.Newest = append(g.Newest, newGenericEvent(e))
	}
	return g
}

func newGenericCounts(c [4]int64) genericCounts {
	return genericCounts{
		c[models.SeverityInfo.Rank()], c[models.SeverityWarning.Rank()],
		c[models.SeverityError.Rank()], c[models.SeverityCritical.Rank()],
	}
}

// deliveryID names the row, so that a repeat is recognisable. The time tells
// it from the same number of another database.
func deliveryID(a models.EmailAlert) string {
	return fmt.Sprintf("%d-%d", a.ID, a.CreatedAt.UnixMicro())
}

// sign proves to who knows the secret that body comes from here and when: the
// time is signed too, so that a receiver can refuse an old request that
// somebody repeats.
func sign(h http.Header, secret string, now time.Time, body []byte) {
	at := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(at + "."))
	mac.Write(body)
	h.Set(headerTimestamp, at)
	h.Set(headerSignature, "sha256="+hex.EncodeToString(mac.Sum(nil)))
}
