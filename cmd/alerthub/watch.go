package main

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"alerthub/hub"
	"alerthub/models"
	"alerthub/watch"
)

// canarySMTPTo is the contact of canaries where no routes file has any.
const canarySMTPTo = "SMTP_TO"

// watchFlags are the settings of what watches the hub.
type watchFlags struct {
	HeartbeatURLFile string `name:"heartbeat-url-file" env:"ALERTHUB_HEARTBEAT_URL_FILE" group:"watch" placeholder:"FILE" help:"File whose content is the address that is asked by GET while all is well. It is a secret: give it so, or in ALERTHUB_HEARTBEAT_URL."`
	HeartbeatEvery   string `name:"heartbeat-every" env:"ALERTHUB_HEARTBEAT_EVERY" default:"1m" group:"watch" placeholder:"DURATION" help:"How often; at least 10s. Default ${default}."`
	Canary           string `name:"canary" env:"ALERTHUB_CANARY" group:"watch" placeholder:"CONTACT" help:"Who gets canaries: a contact of the routes file; without a file, SMTP_TO. None by default."`
	CanaryEvery      string `name:"canary-every" env:"ALERTHUB_CANARY_EVERY" default:"0" group:"watch" placeholder:"DURATION" help:"How often a canary is sent; at least 10m. 0 sends them on request only: alerthub canary. Default ${default}."`
}

// WatchSettings is what watches the hub.
type WatchSettings struct {
	HeartbeatURL   string // "" for no heartbeat; a secret
	HeartbeatEvery time.Duration
	Canary         string // a contact, or canarySMTPTo; "" for no canaries
	CanaryEvery    time.Duration
}

// resolve checks the settings. smtp is the rest; routed says that a routes
// file was named, even if it could not be read.
func (f *watchFlags) resolve(ck *checker, getenv func(string) string, smtp SMTPSettings, routed bool) WatchSettings {
	s := WatchSettings{
		HeartbeatURL:   ck.secret("ALERTHUB_HEARTBEAT_URL", getenv, f.HeartbeatURLFile),
		HeartbeatEvery: ck.duration("--heartbeat-every", f.HeartbeatEvery),
		Canary:         f.Canary,
	}
	if u, err := url.Parse(s.HeartbeatURL); s.HeartbeatURL != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		ck.bad("ALERTHUB_HEARTBEAT_URL", "is not an address that begins with https:// or http://")
	}
	if s.HeartbeatEvery > 0 && s.HeartbeatEvery < 10*time.Second {
		ck.bad("--heartbeat-every", "%s is shorter than 10s", s.HeartbeatEvery)
	}
	if d, err := time.ParseDuration(f.CanaryEvery); f.CanaryEvery != "" && (err != nil || d != 0) {
		s.CanaryEvery = ck.duration("--canary-every", f.CanaryEvery)
		if s.CanaryEvery > 0 && s.CanaryEvery < 10*time.Minute {
			ck.bad("--canary-every", "%s is shorter than 10m", s.CanaryEvery)
		}
		if s.Canary == "" {
			ck.bad("--canary-every", "needs --canary: who gets them")
		}
	}
	switch _, known := smtp.Routes.Contact(s.Canary); {
	case s.Canary == "" || known || routed && smtp.Routes == nil:
	case routed:
		ck.bad("--canary", "there is no contact %q; %s", s.Canary, Settings{SMTP: smtp}.contactNames())
	case s.Canary != canarySMTPTo:
		ck.bad("--canary", "%q is not %s: without a routes file there is nobody else", s.Canary, canarySMTPTo)
	}
	return s
}

// secret is the value of a variable, or the content of a file that is named in
// its place; "" without either.
func (c *checker) secret(name string, getenv func(string) string, file string) string {
	value := getenv(name)
	if file == "" {
		return value
	}
	switch content, err := os.ReadFile(file); {
	case value != "":
		c.bad(name+"_FILE", "%s is set too; give one of them", name)
	case err != nil:
		c.bad(name+"_FILE", "cannot be read: %v", errors.Unwrap(err))
	default:
		return strings.TrimRight(string(content), "\r\n")
	}
	return value
}

// newWatch makes what watches the hub, once that is made, with what it knew
// before.
func (a *App) newWatch() (*watch.Watch, error) {
	s := a.settings
	cfg := watch.Config{
		Alerts: s.SMTP.alertsOf,
		Canary: watch.Canary{Contact: s.Watch.Canary, Every: s.Watch.CanaryEvery, Dial: a.dialDoor, Token: a.access.OwnToken()},
		Heartbeat: watch.Heartbeat{
			URL: s.Watch.HeartbeatURL, Every: s.Watch.HeartbeatEvery,
		},
		Logger: a.logger.With("room", "watch"),
	}
	if s.SMTP.Routes != nil {
		for _, c := range s.SMTP.Routes.Contacts {
			cfg.Contacts = append(cfg.Contacts, c.Contact)
		}
		contact, _ := s.SMTP.Routes.Contact(s.Watch.Canary)
		cfg.Canary.Alerts = s.SMTP.alertsOf(contact)
	} else {
		cfg.Canary.Alerts = hub.EscalateTo(s.SMTP.To, s.SMTP.Missing())(models.Draft{Severity: models.SeverityCritical})
	}
	w := watch.New(a.hub, a.store, cfg)
	return w, w.Restore(context.Background())
}

// birth is how alerts of a channel begin.
func (s SMTPSettings) birth(channel string) (models.EmailStatus, string) {
	if channel == models.DeliveryWebhook {
		return models.EmailPending, "" // it needs no mail server
	}
	return hub.Birth(s.Missing())
}

// alertsOf are the alerts by which all addresses of a contact are told.
func (s SMTPSettings) alertsOf(c models.Contact) []models.NewAlert {
	var list []models.NewAlert
	for _, to := range c.Addresses() {
		status, detail := s.birth(to.Channel)
		list = append(list, models.NewAlert{Contact: to.Contact, Channel: to.Channel, Recipient: to.Recipient, Status: status, Detail: detail})
	}
	return list
}

// dialDoor connects to the TCP door as a device on this machine does.
func (a *App) dialDoor(ctx context.Context) (net.Conn, error) {
	addr := a.tcpListener.Addr().String()
	if tcp, ok := a.tcpListener.Addr().(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		loopback := *tcp
		loopback.IP = net.IPv6loopback
		if tcp.IP.To4() != nil {
			loopback.IP = net.IPv4(127, 0, 0, 1)
		}
		addr = loopback.String()
	}
	if a.tcpCert != nil {
		return dialer(ownDoor(), 0)(ctx, addr)
	}
	return dialer(nil, 0)(ctx, addr)
}

func (a *App) collectWatch(out emitter) {
	if state := a.watch.CanaryState(); state.Contact != "" {
		out.gauge("canary_ok", "0 after a canary that failed, until one comes through.", oneIf(!state.Last.Failed()))
		out.gauge("canary_last_success_timestamp_seconds", "When the last canary came through; 0 if none did.", seconds(state.LastThrough))
	}
	if a.settings.Watch.HeartbeatURL == "" {
		return
	}
	beat := a.watch.Beat()
	out.gauge("heartbeat_ok", "1 while the heartbeat is sent and taken.", oneIf(beat.Outcome == watch.BeatSent))
	out.gauge("heartbeat_last_success_timestamp_seconds", "When the last heartbeat was taken; 0 if none was since the start.", seconds(beat.LastAt))
	for _, outcome := range []string{watch.BeatSent, watch.BeatWithheld, watch.BeatFailed} {
		out.counter("heartbeats_total", "Heartbeats that were due since start: sent and taken, withheld since something was wrong, or failed.", float64(beat.Counts[outcome]), "outcome", outcome)
	}
}

// seconds is a time as Prometheus has it; 0 for none.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
