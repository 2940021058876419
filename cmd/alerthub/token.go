package main

import "strings"

// tokenFrom is where a command reads the key that it shows to the hub.
type tokenFrom struct {
	TokenFile string `name:"token-file" env:"ALERTHUB_TOKEN_FILE" placeholder:"FILE" help:"File whose content is the key to show to the hub. It is a secret: give it so, or in ALERTHUB_TOKEN."`
}

// token is the key to show, "" for none.
func (t *tokenFrom) token(getenv func(string) string) (string, error) {
	var ck checker
	token := strings.TrimSpace(ck.secret("ALERTHUB_TOKEN", getenv, t.TokenFile))
	if len(ck.problems) > 0 {
		return "", &settingsError{ck.problems}
	}
	return token, nil
}
