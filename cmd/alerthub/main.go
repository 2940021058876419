// Command alerthub is the whole hub in one binary: it receives events by TCP
// and HTTP, stores them, shows them live, and mails what is serious.
//
// main parses the command line, turns signals into a context and errors into
// an exit code; everything else is in app.go and the rooms below.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	_ "time/tzdata" // the readers' time zones, for machines that have none

	"github.com/alecthomas/kong"
)

// version is the released version; the build adds the commit where it knows it.
const version = "0.1.0"

// The exit codes, as in sysexits.h where it has one.
const (
	exitFailure = 1
	exitUsage   = 64 // EX_USAGE: the command line or a setting is wrong
)

// cli is the whole command line; config.go documents the settings of serve.
type cli struct {
	Serve   serveCmd   `cmd:"" default:"withargs" help:"Run the hub (the default)."`
	Routes  routesCmd  `cmd:"" help:"Check a file of contacts and routes, or explain what it does with an event."`
	Notify  notifyCmd  `cmd:"" help:"Try whether people can be told."`
	Canary  canaryCmd  `cmd:"" help:"Have the running hub send an event through itself to a person, and print what became of it."`
	User    userCmd    `cmd:"" help:"See to the people who can sign in."`
	Key     keyCmd     `cmd:"" help:"See to the keys of scripts and devices."`
	Senders sendersCmd `cmd:"" help:"Tell who sends without a key, and whom another setting would refuse."`
	Send    sendCmd    `cmd:"" help:"Send events to a hub's TCP port, as a device does."`
	Cert    certCmd    `cmd:"" help:"Make certificates for a lab: an authority of its own, and one for the hub."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	// The first signal ends the program in order; after it the default action
	// is back, so that a second one ends the process at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is main without the process: it returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	var c cli
	exit := -1
	parser, err := kong.New(&c,
		kong.Name("alerthub"),
		kong.Description(description),
		kong.Vars{"version": version},
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exit = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Help(printHelp),
		kong.ExplicitGroups(settingGroups),
	)
	if err != nil {
		fmt.Fprintln(stderr, "alerthub:", err)
		return exitFailure
	}
	command, err := parser.Parse(args)
	if exit >= 0 {
		return exit // --help was printed
	}
	if err == nil {
		err = refuseRepeatedLists(command)
	}
	if err != nil {
		fmt.Fprintf(stderr, "alerthub: %v\nTry: alerthub --help\n", err)
		return exitUsage
	}
	switch selected, _, _ := strings.Cut(command.Command(), " <"); selected {
	case "user add":
		err = c.User.Add.run(ctx, stdin, stdout, stderr)
	case "user passwd":
		err = c.User.Passwd.run(ctx, stdin, stdout, stderr)
	case "user role":
		err = c.User.Role.run(ctx, stdout)
	case "user disable":
		err = c.User.Disable.disable(ctx, stdout, true)
	case "user enable":
		err = c.User.Enable.disable(ctx, stdout, false)
	case "user reset":
		err = c.User.Reset.reset(ctx, stdout)
	case "user list":
		err = c.User.List.run(ctx, stdout)
	case "key add":
		err = c.Key.Add.run(ctx, stdout, stderr)
	case "key list":
		err = c.Key.List.run(ctx, stdout)
	case "key revoke":
		err = c.Key.Revoke.run(ctx, stdout)
	case "senders":
		err = c.Senders.run(ctx, stdout)
	case "routes check":
		err = c.Routes.Check.run(stdout)
	case "routes explain":
		err = c.Routes.Explain.run(stdout)
	case "notify test":
		err = c.Notify.Test.run(ctx, stdout)
	case "canary":
		err = c.Canary.run(ctx, stdout)
	case "send":
		err = c.Send.run(ctx, stdin, stdout, stderr)
	case "cert":
		err = c.Cert.run(stdout)
	case "version":
		fmt.Fprintln(stdout, versionLine())
	default:
		err = c.Serve.run(ctx, stdout, stderr)
	}
	var wrong *settingsError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &wrong):
		fmt.Fprintln(stderr, wrong)
		return exitUsage
	default:
		fmt.Fprintln(stderr, "alerthub:", err)
		return exitFailure
	}
}

// refuseRepeatedLists refuses a comma-separated list that was given twice: the
// parser would take the last one and lose the others.
func refuseRepeatedLists(command *kong.Context) error {
	given := make(map[*kong.Flag]bool)
	for _, p := range command.Path {
		if p.Flag == nil || !strings.HasSuffix(p.Flag.PlaceHolder, ",...") {
			continue
		}
		if given[p.Flag] {
			return fmt.Errorf("--%s: given twice; put commas between its values", p.Flag.Name)
		}
		given[p.Flag] = true
	}
	return nil
}

// printHelp prints what is asked for; for the program as a whole it goes on
// with the settings of serve, which is what no command means.
func printHelp(options kong.HelpOptions, asked *kong.Context) error {
	if err := kong.DefaultHelpPrinter(options, asked); err != nil || asked.Selected() != nil {
		return err
	}
	serve, err := kong.Trace(asked.Kong, []string{"serve"})
	if err != nil {
		return err
	}
	fmt.Fprintln(asked.Stdout)
	return kong.DefaultHelpPrinter(options, serve)
}

type versionCmd struct{}

// versionLine names the version, the commit if the build knows it, and Go.
func versionLine() string {
	return fmt.Sprintf("alerthub %s (%s %s/%s)", build(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// build is the version, and the commit if the build knows it: pages that were
// made by another one say so.
func build() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return version + " " + s.Value
			}
		}
	}
	return version
}

// run serves until the context ends, then stops in order.
func (c *serveCmd) run(ctx context.Context, stdout, stderr io.Writer) error {
	settings, err := c.resolve(os.Getenv)
	if err != nil {
		return err
	}
	logger := newLogger(stderr, settings)
	slog.SetDefault(logger) // for libraries that log on their own
	tune(os.Getenv)

	app, err := New(ctx, settings, logger)
	if err != nil {
		return err
	}
	app.Start()
	app.offerSetup(stdout)
	debug.FreeOSMemory() // a start leaves more garbage than an hour of work
	select {
	case <-ctx.Done():
		logger.Info("stopping")
	case err = <-app.Failed():
		logger.Error("stopping after a failure", "error", err)
	}
	return errors.Join(err, app.Stop(context.WithoutCancel(ctx)))
}

func newLogger(w io.Writer, s Settings) *slog.Logger {
	options := &slog.HandlerOptions{Level: s.LogLevel}
	if s.LogJSON {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// memoryLimit makes the garbage collector work harder before the hub grows
// past what a small machine can spare; up to there it works half as often as
// it would by itself, since every event leaves some garbage.
const (
	memoryLimit = 80 << 20
	gcPercent   = 200
)

// tune suits Go's runtime to the hub; what its own variables say goes first.
// The search index's thread has a low priority, which the system can only heed
// when that thread does not hold one of the processors that the others need:
// it gets one more.
func tune(getenv func(string) string) {
	if getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	if getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
}
