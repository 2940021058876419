package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"alerthub/access"
	"alerthub/models"
)

// ownMachine is from where events are taken without a key unless the operator
// says otherwise.
const ownMachine = "127.0.0.0/8,::1/128"

// accessFlags are the settings of who comes in.
type accessFlags struct {
	Anonymous    string `name:"anonymous" env:"ALERTHUB_ANONYMOUS" group:"access" placeholder:"NETWORK,..." help:"Addresses from which events are taken without a key, by TCP and HTTP, such as 10.1.0.0/16; none for nobody. Default 127.0.0.0/8,::1/128."`
	Setup        bool   `name:"setup" env:"ALERTHUB_SETUP" group:"access" help:"While there are no users, print a link by which, once and within an hour, the first one can be added. Until then nobody may use the panel."`
	SessionIdle  string `name:"session-idle" env:"ALERTHUB_SESSION_IDLE" default:"12h" group:"access" placeholder:"DURATION" help:"A person of whom nothing is heard for so long signs in again; a page that is open is heard of. Default ${default}."`
	SessionMax   string `name:"session-max" env:"ALERTHUB_SESSION_MAX" default:"720h" group:"access" placeholder:"DURATION" help:"Nobody stays signed in for longer. Default ${default}."`
	InsecureOpen bool   `name:"insecure-open" env:"ALERTHUB_INSECURE_OPEN" group:"access" help:"Start although anybody who reaches a listener may use it."`
}

// AccessSettings is who comes in.
type AccessSettings struct {
	Anonymous    models.Networks // from where events are taken without a key
	Explicit     bool            // the operator said so
	Setup        bool            // the first user is added by a link
	SessionIdle  time.Duration   // after which nobody is signed in without a word
	SessionMax   time.Duration   // after which nobody is signed in
	InsecureOpen bool
}

func (f *accessFlags) resolve(ck *checker) AccessSettings {
	s := AccessSettings{
		Explicit: f.Anonymous != "", InsecureOpen: f.InsecureOpen, Setup: f.Setup,
		SessionIdle: ck.duration("--session-idle", f.SessionIdle), SessionMax: ck.duration("--session-max", f.SessionMax),
	}
	if s.SessionMax < s.SessionIdle {
		ck.bad("--session-max", "%s is shorter than --session-idle %s", s.SessionMax, s.SessionIdle)
	}
	text := f.Anonymous
	if !s.Explicit {
		text = ownMachine
	}
	var err error
	if s.Anonymous, err = models.ParseNetworks(text); err != nil {
		ck.bad("--anonymous", "%v", err)
	}
	return s
}

// checkOpen refuses listeners that are reached from other machines and that
// nothing guards. The error is a *settingsError that says how to guard them.
func (a *App) checkOpen() error {
	if a.settings.Access.InsecureOpen {
		return nil
	}
	var ck checker
	a.checkWebOpen(&ck, "--http-addr", a.httpListener)
	a.checkWebOpen(&ck, "--feed-addr", a.feedListener)
	a.checkTCPOpen(&ck)
	if len(ck.problems) > 0 {
		return &settingsError{ck.problems}
	}
	return nil
}

// checkWebOpen: a hub behind a proxy is reached by whom the proxy lets in.
func (a *App) checkWebOpen(ck *checker, name string, l net.Listener) {
	if !a.access.Open() || onlyHere(l) && len(a.settings.TrustedProxies) == 0 {
		return
	}
	ck.bad(name, "other machines reach %s, and nobody would have to sign in. Add a first user, or have a link printed that does:\n"+
		"    alerthub user add --data-dir %s --role admin NAME\n"+
		"    alerthub serve --setup\n"+
		"  (or --insecure-open, to start all the same)", l.Addr(), a.settings.DataDir)
}

func (a *App) checkTCPOpen(ck *checker) {
	s := a.settings.Access
	if s.Explicit || a.settings.TCPTLS.ClientCA != "" || a.access.HasIngestKey() || onlyHere(a.tcpListener) {
		return
	}
	ck.bad("--tcp-addr", "other machines reach %s, and none of them could prove who it is. Make a key for them, or say from where events are taken without one:\n"+
		"    alerthub key add --data-dir %s --scope ingest devices\n"+
		"    alerthub serve --anonymous 192.0.2.0/24\n"+
		"  (or --insecure-open, to start all the same)", a.tcpListener.Addr(), a.settings.DataDir)
}

// accessConfig is what room access is told.
func (s Settings) accessConfig(logger *slog.Logger) access.Config {
	return access.Config{
		Logger: logger, Anonymous: s.Access.Anonymous, SetupOnly: s.Access.Setup, SessionIdle: s.Access.SessionIdle, SessionMax: s.Access.SessionMax,
	}
}

// offerSetup prints the link by which the first user is added. It is a secret,
// and so not in the log.
func (a *App) offerSetup(w io.Writer) {
	if !a.settings.Access.Setup || a.access.HasUsers() {
		return
	}
	base := a.settings.PublicURL
	if base == "" {
		base = a.panelURL()
		if machine, err := os.Hostname(); err == nil && !onlyHere(a.httpListener) {
			base = strings.Replace(base, a.Addrs().HTTP, fmt.Sprintf("%s:%d", machine, port(a.httpListener)), 1)
		}
	}
	fmt.Fprintf(w, "Add the first user within an hour, by this link, which works once:\n  %s/setup?token=%s\n", base, a.access.OfferSetup())
}

// onlyHere reports whether nobody but this machine reaches a listener.
func onlyHere(l net.Listener) bool {
	tcp, ok := l.Addr().(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
