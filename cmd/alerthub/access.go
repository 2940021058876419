package main

import (
	"net"

	"alerthub/models"
)

// ownMachine is from where events are taken without a key unless the operator
// says otherwise.
const ownMachine = "127.0.0.0/8,::1/128"

// accessFlags are the settings of who comes in.
type accessFlags struct {
	Anonymous    string `name:"anonymous" env:"ALERTHUB_ANONYMOUS" group:"access" placeholder:"NETWORK,..." help:"Addresses from which events are taken without a key, by TCP and HTTP, such as 10.1.0.0/16; none for nobody. Default 127.0.0.0/8,::1/128."`
	InsecureOpen bool   `name:"insecure-open" env:"ALERTHUB_INSECURE_OPEN" group:"access" help:"Start although anybody who reaches a listener may use it."`
}

// AccessSettings is who comes in.
type AccessSettings struct {
	Anonymous    models.Networks // from where events are taken without a key
	Explicit     bool            // the operator said so
	InsecureOpen bool
}

func (f *accessFlags) resolve(ck *checker) AccessSettings {
	s := AccessSettings{Explicit: f.Anonymous != "", InsecureOpen: f.InsecureOpen}
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
	a.checkTCPOpen(&ck)
	if len(ck.problems) > 0 {
		return &settingsError{ck.problems}
	}
	return nil
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

// onlyHere reports whether nobody but this machine reaches a listener.
func onlyHere(l net.Listener) bool {
	tcp, ok := l.Addr().(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
