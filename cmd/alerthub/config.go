package main

import (
	"crypto/x509"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"alerthub/routes"
)

const description = `Network Alert Hub: one durable, live, searchable record of what a network's devices report.

Every setting is a flag and an environment variable; the flag wins. Secrets have no flag, so that
they never show in the process list: give SMTP_PASS in the environment, or a file's path in
SMTP_PASS_FILE; likewise ALERTHUB_HEARTBEAT_URL.

Ports that browsers refuse (5060 among them, which is SIP's) are refused for the panel and the feed.`

var settingGroups = []kong.Group{
	{Key: "listen", Title: "Where to listen"},
	{Key: "access", Title: "Who comes in"},
	{Key: "tls", Title: "Encryption", Description: "a certificate and its key, or neither; both files are read again when they change. Or one by ACME."},
	{Key: "store", Title: "Storage"},
	{Key: "tcp", Title: "TCP ingest limits"},
	{Key: "limits", Title: "What one sender may take", Description: "RATE/BURST: events a second, and at once after a silence; 0 is no limit."},
	{Key: "email", Title: "Email", Description: "error and critical events are mailed once SMTP_HOST, SMTP_FROM and SMTP_TO (or routes) are known."},
	{Key: "watch", Title: "Who watches the hub", Description: "the heartbeat's address is a secret: ALERTHUB_HEARTBEAT_URL."},
	{Key: "log", Title: "Logging"},
}

// serveCmd is every setting of the hub, as written by the operator. All are
// texts here, so that resolve can name everything that is wrong at once.
type serveCmd struct {
	HTTPAddr string `name:"http-addr" env:"ALERTHUB_HTTP_ADDR" default:"127.0.0.1:5080" group:"listen" placeholder:"HOST:PORT" help:"Panel and REST API. Port 0 picks a free one. Default ${default}."`
	TCPAddr  string `name:"tcp-addr" env:"ALERTHUB_TCP_ADDR" default:"127.0.0.1:5090" group:"listen" placeholder:"HOST:PORT" help:"TCP ingest, one JSON object a line. Default ${default}."`
	FeedAddr string `name:"feed-addr" env:"ALERTHUB_FEED_ADDR" default:"127.0.0.1:8767" group:"listen" placeholder:"HOST:PORT" help:"JSON event feed by websocket (also at /ws/events of the panel). Default ${default}."`

	PublicURL string `name:"public-url" env:"ALERTHUB_PUBLIC_URL" group:"listen" placeholder:"URL" help:"Where people find the panel, for links in mails and webhooks, such as https://alerts.example.net. Without it they have none."`

	AllowedHosts string `name:"allowed-hosts" env:"ALERTHUB_ALLOWED_HOSTS" group:"listen" placeholder:"NAME,..." help:"More names by which panel, API and feed may be asked; *.example.net for all below it. Addresses, localhost, this machine's name and the one of --public-url always may."`

	accessFlags `embed:""`

	TrustedProxies string `name:"trusted-proxies" env:"ALERTHUB_TRUSTED_PROXIES" group:"listen" placeholder:"NETWORK,..." help:"Reverse proxies whose X-Forwarded-For, -Proto and -Host headers count; none by default. They must set all three themselves."`

	tlsFlags  `embed:""`
	acmeFlags `embed:""`

	DataDir string `name:"data-dir" env:"ALERTHUB_DATA_DIR" default:"./data" group:"store" placeholder:"DIR" help:"Directory of alerthub.db; created on first start. Default ${default}."`

	TCPMaxConnections string `name:"tcp-max-connections" env:"ALERTHUB_TCP_MAX_CONNECTIONS" default:"10000" group:"tcp" placeholder:"N" help:"Connections at once; one more is told too_many_connections. Default ${default}."`
	TCPMaxLine        string `name:"tcp-max-line" env:"ALERTHUB_TCP_MAX_LINE" default:"65536" group:"tcp" placeholder:"BYTES" help:"Longest line; a longer one is answered line_too_long. Default ${default}."`
	TCPIdleTimeout    string `name:"tcp-idle-timeout" env:"ALERTHUB_TCP_IDLE_TIMEOUT" default:"10m" group:"tcp" placeholder:"DURATION" help:"A connection that says nothing for this long is closed. Default ${default}."`

	limitFlags `embed:""`

	SMTPHost     string `name:"smtp-host" env:"SMTP_HOST" group:"email" placeholder:"HOST" help:"Mail server. Without it, emails are recorded as skipped."`
	SMTPPort     string `name:"smtp-port" env:"SMTP_PORT" default:"587" group:"email" placeholder:"PORT" help:"Its port. Default ${default}."`
	SMTPUser     string `name:"smtp-user" env:"SMTP_USER" group:"email" placeholder:"USER" help:"Login; none means a relay without login. The password comes from SMTP_PASS or SMTP_PASS_FILE."`
	SMTPPassFile string `name:"smtp-pass-file" env:"SMTP_PASS_FILE" group:"email" placeholder:"FILE" help:"File whose content is the password; a final line feed is ignored."`
	SMTPFrom     string `name:"smtp-from" env:"SMTP_FROM" group:"email" placeholder:"ADDRESS" help:"Sender address. Default: the user."`
	SMTPTo       string `name:"smtp-to" env:"SMTP_TO" group:"email" placeholder:"ADDRESS,..." help:"Recipients, comma-separated; each gets its own mail."`
	Routes       string `name:"routes" env:"ALERTHUB_ROUTES" group:"email" placeholder:"FILE" help:"Contacts and routes: who is told of which event. It takes the place of SMTP_TO. See docs/escalation.md."`
	WebhookAllow string `name:"webhook-allow" env:"ALERTHUB_WEBHOOK_ALLOW" group:"email" placeholder:"NETWORK,..." help:"Private and loopback addresses that webhooks may reach, such as 10.1.0.0/16,192.0.2.7; none by default."`
	SMTPTLS      string `name:"smtp-tls" env:"SMTP_TLS" default:"starttls" group:"email" placeholder:"MODE" help:"starttls, tls, or none. Without none, nothing crosses unencrypted. Default ${default}."`
	SMTPCAFile   string `name:"smtp-ca-file" env:"SMTP_CA_FILE" group:"email" placeholder:"FILE" help:"PEM certificates to trust for the mail server instead of the system's."`

	EmailRetryMin string `name:"email-retry-min" env:"ALERTHUB_EMAIL_RETRY_MIN" default:"15s" group:"email" placeholder:"DURATION" help:"Wait before the second try of a mail; doubles from there. Default ${default}."`
	EmailRetryMax string `name:"email-retry-max" env:"ALERTHUB_EMAIL_RETRY_MAX" default:"15m" group:"email" placeholder:"DURATION" help:"Longest wait between tries. Default ${default}."`
	EmailMaxAge   string `name:"email-max-age" env:"ALERTHUB_EMAIL_MAX_AGE" default:"24h" group:"email" placeholder:"DURATION" help:"Age at which an undelivered mail is given up as failed. Default ${default}."`

	watchFlags `embed:""`

	LogLevel  string `name:"log-level" env:"ALERTHUB_LOG_LEVEL" default:"info" group:"log" placeholder:"LEVEL" help:"debug, info, warn or error. Default ${default}."`
	LogFormat string `name:"log-format" env:"ALERTHUB_LOG_FORMAT" default:"text" group:"log" placeholder:"FORMAT" help:"text or json, on standard error. Default ${default}."`
}

// Settings is what the operator's words mean, checked.
type Settings struct {
	HTTPAddr, TCPAddr, FeedAddr string // host:port; port 0 picks a free one
	DataDir                     string
	PublicURL                   string // without a slash at its end; "" for none

	Access AccessSettings

	TLS, TCPTLS TLSFiles // of panel and feed, and of the TCP ingest

	ACME ACMESettings

	AllowedHosts []string // besides those that settings name anyway

	TrustedProxies []netip.Prefix

	WebhookAllow []netip.Prefix

	TCPMaxConnections int
	TCPMaxLine        int // bytes
	TCPIdleTimeout    time.Duration

	Limits LimitSettings

	SMTP  SMTPSettings
	Watch WatchSettings

	LogLevel slog.Level
	LogJSON  bool
}

// SMTPSettings is how mail leaves.
type SMTPSettings struct {
	Host     string
	Port     int
	User     string // "" for no login
	Password string
	From     string
	To       []string
	Routes   *routes.Rules  // nil without a file: To is told of errors and criticals
	TLS      string         // "starttls", "tls" or "none"
	RootCAs  *x509.CertPool // nil for the system's

	RetryMin, RetryMax, MaxAge time.Duration
}

// Missing names the variables without which no mail can be sent.
func (s SMTPSettings) Missing() []string {
	var missing []string
	if s.Host == "" {
		missing = append(missing, "SMTP_HOST")
	}
	if s.From == "" {
		missing = append(missing, "SMTP_FROM")
	}
	if len(s.To) == 0 && s.Routes == nil {
		missing = append(missing, "SMTP_TO")
	}
	return missing
}

// recipients are who gets the mails: nobody while a setting is missing, and
// nobody in advance where routes decide.
func (s SMTPSettings) recipients() []string {
	if len(s.Missing()) > 0 || s.Routes != nil {
		return nil
	}
	return s.To
}

// settingsError is everything that is wrong with the settings.
type settingsError struct{ problems []string }

func (e *settingsError) Error() string {
	return "alerthub: these settings are wrong:\n  " + strings.Join(e.problems, "\n  ")
}

// resolve checks all settings. The error is a *settingsError naming each one
// that is wrong.
func (c *serveCmd) resolve(getenv func(string) string) (Settings, error) {
	var ck checker
	s := Settings{
		HTTPAddr: ck.browserAddr("--http-addr", c.HTTPAddr),
		TCPAddr:  ck.addr("--tcp-addr", c.TCPAddr),
		FeedAddr: ck.browserAddr("--feed-addr", c.FeedAddr),

		PublicURL: ck.publicURL("--public-url", c.PublicURL),

		AllowedHosts: ck.hosts("--allowed-hosts", c.AllowedHosts),

		DataDir: c.DataDir,

		TrustedProxies: ck.proxies("--trusted-proxies", c.TrustedProxies),

		WebhookAllow: ck.networks("--webhook-allow", c.WebhookAllow),

		TCPMaxConnections: ck.integer("--tcp-max-connections", c.TCPMaxConnections, 1, 1_000_000),
		TCPMaxLine:        ck.integer("--tcp-max-line", c.TCPMaxLine, 1024, 1<<20),
		TCPIdleTimeout:    ck.duration("--tcp-idle-timeout", c.TCPIdleTimeout),
	}
	if s.DataDir == "" {
		ck.bad("--data-dir", "must name a directory")
	}
	ck.distinct(map[string]string{"--http-addr": s.HTTPAddr, "--tcp-addr": s.TCPAddr, "--feed-addr": s.FeedAddr})
	s.Access = c.accessFlags.resolve(&ck)
	s.TLS, s.TCPTLS = c.tlsFlags.resolve(&ck)
	s.ACME = c.acmeFlags.resolve(&ck, s.TLS)
	s.Limits = c.limitFlags.resolve(&ck)
	s.SMTP = c.resolveSMTP(&ck, getenv)
	s.Watch = c.watchFlags.resolve(&ck, getenv, s.SMTP, c.Routes != "")
	if err := s.LogLevel.UnmarshalText([]byte(c.LogLevel)); err != nil {
		ck.bad("--log-level", "%q is not one of debug, info, warn, error", c.LogLevel)
	}
	switch c.LogFormat {
	case "text", "json":
		s.LogJSON = c.LogFormat == "json"
	default:
		ck.bad("--log-format", "%q is not one of text, json", c.LogFormat)
	}
	if len(ck.problems) > 0 {
		return Settings{}, &settingsError{ck.problems}
	}
	return s, nil
}

func (c *serveCmd) resolveSMTP(ck *checker, getenv func(string) string) SMTPSettings {
	s := SMTPSettings{
		Host: c.SMTPHost, User: c.SMTPUser, Password: ck.secret("SMTP_PASS", getenv, c.SMTPPassFile), TLS: c.SMTPTLS,
		Port:     ck.integer("SMTP_PORT", c.SMTPPort, 1, 65535),
		RetryMin: ck.duration("--email-retry-min", c.EmailRetryMin),
		RetryMax: ck.duration("--email-retry-max", c.EmailRetryMax),
		MaxAge:   ck.duration("--email-max-age", c.EmailMaxAge),
	}
	if s.RetryMax < s.RetryMin {
		ck.bad("--email-retry-max", "%s is shorter than --email-retry-min %s", s.RetryMax, s.RetryMin)
	}
	if (s.User == "") != (s.Password == "") {
		ck.bad("SMTP_USER, SMTP_PASS", "a login needs both; a relay without login needs neither")
	}
	if !slices.Contains([]string{"starttls", "tls", "none"}, s.TLS) {
		ck.bad("SMTP_TLS", "%q is not one of starttls, tls, none", s.TLS)
	}
	s.From = c.SMTPFrom
	if s.From == "" && strings.Contains(s.User, "@") {
		s.From = s.User
	}
	s.From = ck.mailAddress("SMTP_FROM", s.From)
	for to := range strings.SplitSeq(c.SMTPTo, ",") {
		if to = ck.mailAddress("SMTP_TO", strings.TrimSpace(to)); to != "" && !slices.Contains(s.To, to) {
			s.To = append(s.To, to)
		}
	}
	if c.Routes != "" {
		s.Routes = ck.routes("--routes", c.Routes, routes.Env{Getenv: getenv})
	}
	if c.SMTPCAFile != "" {
		pem, err := os.ReadFile(c.SMTPCAFile)
		s.RootCAs = x509.NewCertPool()
		if err != nil {
			ck.bad("SMTP_CA_FILE", "cannot be read: %v", errors.Unwrap(err))
		} else if !s.RootCAs.AppendCertsFromPEM(pem) {
			ck.bad("SMTP_CA_FILE", "%s holds no PEM certificate", c.SMTPCAFile)
		}
	}
	return s
}
