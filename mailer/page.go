package mailer

import (
	"bytes"
	_ "embed" // page.html
	"html/template"
)

//go:embed page.html
var pageText string

// page is the HTML part. Its names are escaped where they stand, so a
// device's text is text wherever it lands. It loads nothing from anywhere.
var page = template.Must(template.New("mail").Funcs(template.FuncMap{
	// Outlook for Windows knows no max-width; comments for it would be lost as
	// all comments of a template are.
	"narrow": func() template.HTML {
		return `<!--[if mso]><table role="presentation" width="600" align="center" cellpadding="0" cellspacing="0" border="0"><tr><td><![endif]-->`
	},
	"narrowEnd": func() template.HTML { return `<!--[if mso]></td></tr></table><![endif]-->` },
}).Parse(pageText))

// rich writes the HTML part.
func (l *letter) rich() ([]byte, error) {
	var b bytes.Buffer
	err := page.Execute(&b, l)
	return b.Bytes(), err
}
