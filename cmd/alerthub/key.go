package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"alerthub/models"
	"alerthub/wire"
)

// keyCmd is what can be done about the keys of scripts and devices.
type keyCmd struct {
	Add    keyAddCmd    `cmd:"" help:"Make a key and print it, this once."`
	List   keyListCmd   `cmd:"" help:"List the keys."`
	Revoke keyRevokeCmd `cmd:"" help:"Make a key worthless, on open connections too."`
}

type keyAddCmd struct {
	adminFlags `embed:""`
	Name       string         `arg:"" help:"What it is for; unique, whatever its case."`
	Scope      []models.Scope `name:"scope" enum:"ingest,read,admin" default:"ingest" help:"What it may do: ingest, read, admin; comma-separated. Default ${default}."`
	Source     []string       `name:"source" placeholder:"PATTERN" help:"Sources that it may speak as, such as ups-*; repeat it or separate by commas. Any without it."`
	Expires    string         `name:"expires" default:"365d" placeholder:"DAYS" help:"When it ends: a number of days such as 90d, or never. Default ${default}."`
}

type keyListCmd struct {
	adminFlags `embed:""`
}

type keyRevokeCmd struct {
	adminFlags `embed:""`
	Name       string `arg:"" help:"Its name."`
}

const keysPath = "/api/keys"

// expires is when the key ends as the API takes it; nil for never.
func (c *keyAddCmd) expires(now time.Time) (*string, error) {
	if c.Expires == "never" {
		return nil, nil
	}
	days, err := strconv.Atoi(strings.TrimSuffix(c.Expires, "d"))
	if err != nil || days < 1 || days > 36500 || !strings.HasSuffix(c.Expires, "d") {
		return nil, fmt.Errorf("--expires: %q is neither never nor a number of days such as 90d", c.Expires)
	}
	end := models.FormatTime(now.AddDate(0, 0, days))
	return &end, nil
}

func (c *keyAddCmd) run(ctx context.Context, stdout, stderr io.Writer) error {
	expires, err := c.expires(time.Now())
	if err != nil {
		return err
	}
	asked := struct {
		Name      string         `json:"name"`
		Scopes    []models.Scope `json:"scopes"`
		Sources   []string       `json:"sources"`
		ExpiresAt *string        `json:"expires_at"`
	}{c.Name, c.Scope, c.Source, expires}
	return c.with(ctx, func(hub *adminClient) error {
		var made struct {
			Secret string `json:"key"`
		}
		if err := hub.ask(ctx, http.MethodPost, keysPath, asked, &made); err != nil {
			return err
		}
		fmt.Fprintln(stderr, "This is the key. It is not shown again:")
		_, err := fmt.Fprintln(stdout, made.Secret)
		return err
	})
}

func (c *adminClient) keys(ctx context.Context) ([]wire.Key, error) {
	var list struct {
		Keys []wire.Key `json:"keys"`
	}
	err := c.ask(ctx, http.MethodGet, keysPath, nil, &list)
	return list.Keys, err
}

func (c *keyListCmd) run(ctx context.Context, stdout io.Writer) error {
	return c.with(ctx, func(hub *adminClient) error {
		keys, err := hub.keys(ctx)
		if err != nil {
			return err
		}
		return printKeys(stdout, keys)
	})
}

func (c *keyRevokeCmd) run(ctx context.Context, stdout io.Writer) error {
	return c.with(ctx, func(hub *adminClient) error {
		keys, err := hub.keys(ctx)
		if err != nil {
			return err
		}
		for _, k := range keys {
			if strings.EqualFold(k.Name, c.Name) {
				var now wire.Key
				if err := hub.ask(ctx, http.MethodDelete, keysPath+"/"+strconv.FormatInt(k.ID, 10), nil, &now); err != nil {
					return err
				}
				return printKeys(stdout, []wire.Key{now})
			}
		}
		return fmt.Errorf("there is no key %q", c.Name)
	})
}

func printKeys(stdout io.Writer, keys []wire.Key) error {
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tKEY\tSCOPES\tSOURCES\tEXPIRES\tLAST USED\tFROM\tREVOKED")
	for _, k := range keys {
		scopes := make([]string, len(k.Scopes))
		for i, s := range k.Scopes {
			scopes[i] = string(s)
		}
		sources := "any"
		if len(k.Sources) > 0 {
			sources = strings.Join(k.Sources, ",")
		}
		fmt.Fprintf(table, "%s\t%s…\t%s\t%s\t%s\t%s\t%s\t%s\n", k.Name, k.Hint, strings.Join(scopes, ","), sources,
			orWord(k.ExpiresAt, "never"), orWord(k.LastUsedAt, "never"), deref(k.LastUsedFrom), deref(k.RevokedAt))
	}
	return table.Flush()
}

func orWord(p *string, word string) string {
	if p == nil {
		return word
	}
	return *p
}

// sendersCmd tells who sends without a key.
type sendersCmd struct {
	adminFlags `embed:""`
	Anonymous  string `name:"anonymous" placeholder:"NETWORK,..." help:"Tell whom this value of the hub's --anonymous would refuse, without changing anything."`
}

func (c *sendersCmd) run(ctx context.Context, stdout io.Writer) error {
	path := "/api/senders"
	if c.Anonymous != "" {
		path += "?" + url.Values{"anonymous": {c.Anonymous}}.Encode()
	}
	return c.with(ctx, func(hub *adminClient) error {
		var list struct {
			Anonymous string        `json:"anonymous"`
			Senders   []wire.Sender `json:"senders"`
		}
		if err := hub.ask(ctx, http.MethodGet, path, nil, &list); err != nil {
			return err
		}
		table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintf(table, "ADDRESS\tLAST SOURCE\tEVENTS\tFIRST\tLAST\tWITH %s\n", list.Anonymous)
		refused := 0
		for _, s := range list.Senders {
			fate := "taken"
			if s.WouldRefuse {
				fate = "refused"
				refused++
			}
			fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\t%s\n", s.Address, s.LastSource, s.Events, s.FirstAt, s.LastAt, fate)
		}
		if err := table.Flush(); err != nil {
			return err
		}
		_, err := fmt.Fprintf(stdout, "%d senders without a key, %d of them refused by %s\n", len(list.Senders), refused, list.Anonymous)
		return err
	})
}
