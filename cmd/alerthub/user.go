package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"golang.org/x/term"

	"alerthub/wire"
)

// userCmd is what can be done about people.
type userCmd struct {
	Add     userAddCmd    `cmd:"" help:"Add a person who can sign in. The password is asked for, or read from standard input."`
	Passwd  userPasswdCmd `cmd:"" help:"Give a person another password, and end their sessions."`
	Role    userRoleCmd   `cmd:"" help:"Give a person another role."`
	Disable userNameCmd   `cmd:"" help:"Keep a person from signing in, and end their sessions."`
	Enable  userNameCmd   `cmd:"" help:"Let a person sign in again."`
	Reset   userNameCmd   `cmd:"" help:"Take a person's second factor away, when they have lost it."`
	List    userListCmd   `cmd:"" help:"List the people."`
}

type userAddCmd struct {
	adminFlags   `embed:""`
	passwordFrom `embed:""`
	Name         string `arg:"" help:"Name to sign in with; unique, whatever its case."`
	Role         string `name:"role" enum:"viewer,operator,admin" default:"viewer" help:"viewer sees, operator also acknowledges, retries, cancels and imports, admin also sees to people and keys. Default ${default}."`
}

type userPasswdCmd struct {
	adminFlags   `embed:""`
	passwordFrom `embed:""`
	Name         string `arg:"" help:"Whose."`
}

type userRoleCmd struct {
	adminFlags `embed:""`
	Name       string `arg:"" help:"Whose."`
	Role       string `arg:"" enum:"viewer,operator,admin" help:"viewer, operator or admin."`
}

type userNameCmd struct {
	adminFlags `embed:""`
	Name       string `arg:"" help:"Who."`
}

type userListCmd struct {
	adminFlags `embed:""`
}

// passwordFrom is where a command reads a password: never from its arguments,
// which everybody on the machine can read.
type passwordFrom struct {
	PasswordFile string `name:"password-file" placeholder:"FILE" help:"File whose first line is the password, instead of asking for it."`
}

func (p *passwordFrom) password(stdin io.Reader, stderr io.Writer) (string, error) {
	if p.PasswordFile != "" {
		text, err := os.ReadFile(p.PasswordFile)
		if err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		line, _, _ := strings.Cut(string(text), "\n")
		return strings.TrimSuffix(line, "\r"), nil
	}
	if terminal, ok := stdin.(*os.File); ok && term.IsTerminal(int(terminal.Fd())) {
		return askPassword(int(terminal.Fd()), stderr)
	}
	line, err := bufio.NewReader(stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// askPassword asks twice, without showing what is typed.
func askPassword(terminal int, stderr io.Writer) (string, error) {
	var typed [2]string
	for i, question := range []string{"Password: ", "Again: "} {
		fmt.Fprint(stderr, question)
		line, err := term.ReadPassword(terminal)
		fmt.Fprintln(stderr)
		if err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		typed[i] = string(line)
	}
	if typed[0] != typed[1] {
		return "", errors.New("the two passwords differ; nothing was changed")
	}
	return typed[0], nil
}

const usersPath = "/api/users"

func (c *userAddCmd) run(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) error {
	password, err := c.password(stdin, stderr)
	if err != nil {
		return err
	}
	return c.with(ctx, func(hub *adminClient) error {
		var made wire.User
		err := hub.ask(ctx, http.MethodPost, usersPath, wire.UserChange{Name: c.Name, Role: &c.Role, Password: &password}, &made)
		if err == nil {
			_, err = fmt.Fprintf(stdout, "%s can sign in as %s\n", made.Name, made.Role)
		}
		return err
	})
}

func (c *userPasswdCmd) run(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) error {
	password, err := c.password(stdin, stderr)
	if err != nil {
		return err
	}
	return c.change(ctx, stdout, c.Name, wire.UserChange{Password: &password})
}

func (c *userRoleCmd) run(ctx context.Context, stdout io.Writer) error {
	return c.change(ctx, stdout, c.Name, wire.UserChange{Role: &c.Role})
}

func (c *userNameCmd) disable(ctx context.Context, stdout io.Writer, disabled bool) error {
	return c.change(ctx, stdout, c.Name, wire.UserChange{Disabled: &disabled})
}

func (c *userNameCmd) reset(ctx context.Context, stdout io.Writer) error {
	return c.change(ctx, stdout, c.Name, wire.UserChange{TwoFactor: new(bool)})
}

func (f *adminFlags) change(ctx context.Context, stdout io.Writer, name string, change wire.UserChange) error {
	return f.with(ctx, func(hub *adminClient) error {
		users, err := hub.users(ctx)
		if err != nil {
			return err
		}
		for _, user := range users {
			if strings.EqualFold(user.Name, name) {
				var now wire.User
				if err := hub.ask(ctx, http.MethodPatch, usersPath+"/"+strconv.FormatInt(user.ID, 10), change, &now); err != nil {
					return err
				}
				return printUsers(stdout, []wire.User{now})
			}
		}
		return fmt.Errorf("there is no user %q", name)
	})
}

func (c *userListCmd) run(ctx context.Context, stdout io.Writer) error {
	return c.with(ctx, func(hub *adminClient) error {
		users, err := hub.users(ctx)
		if err != nil {
			return err
		}
		return printUsers(stdout, users)
	})
}

func (c *adminClient) users(ctx context.Context) ([]wire.User, error) {
	var list struct {
		Users []wire.User `json:"users"`
	}
	err := c.ask(ctx, http.MethodGet, usersPath, nil, &list)
	return list.Users, err
}

func printUsers(stdout io.Writer, users []wire.User) error {
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tROLE\tSECOND FACTOR\tSESSIONS\tDISABLED")
	for _, u := range users {
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\n", u.Name, u.Role, yes(u.TwoFactor), u.Sessions, deref(u.DisabledAt))
	}
	return table.Flush()
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}
