package mailer

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// plain writes the text part. What a device said ends a line of ours or
// stands on indented ones, so that it never passes for a line of ours.
func (l *letter) plain() []byte {
	var b bytes.Buffer
	b.WriteString(l.Intro + "\n\n")
	if l.Digest != nil {
		l.Digest.plain(&b, l.Facts)
	} else {
		facts := append([]fact{{l.Labels.Severity, strings.ToUpper(l.Severity.Word)}}, l.Facts...)
		writeFacts(&b, append(facts, fact{l.Labels.Source, l.Source}))
		b.WriteString("\n" + l.Labels.Message + ":\n")
		for _, line := range l.Message {
			b.WriteString("    " + line + "\n")
		}
	}
	if l.Link != "" {
		b.WriteString("\n" + l.LinkText + ":\n" + l.Link + "\n")
	}
	b.WriteString("\n-- \n" + l.Why + "\n") // RFC 3676, section 4.3: what follows is a signature
	return b.Bytes()
}

func (d *digest) plain(b *bytes.Buffer, facts []fact) {
	b.WriteString(d.Count + "\n" + d.Totals + "\n\n")
	writeFacts(b, facts)
	if d.Reason != "" {
		b.WriteString("\n" + d.Reason + "\n")
	}
	if len(d.Rows) > 0 {
		b.WriteString("\n" + d.SourcesTitle + ":\n\n")
		d.table(b)
	}
	if d.MoreSources != "" {
		b.WriteString(d.MoreSources + "\n")
	}
	if len(d.Newest) > 0 {
		b.WriteString("\n" + d.NewestTitle + ":\n")
	}
	for _, e := range d.Newest {
		fmt.Fprintf(b, "\n  %s  %s  %s  %s\n", e.Time, strings.ToUpper(e.Word), e.ID, e.Source)
		if e.Message != "" {
			b.WriteString("      " + e.Message + "\n")
		}
	}
	if d.MoreEvents != "" {
		b.WriteString("\n" + d.MoreEvents + "\n")
	}
}

// table writes a line for each source: our numbers first, its name last.
func (d *digest) table(b *bytes.Buffer) {
	widths := make([]int, len(d.Columns))
	for i, c := range d.Columns {
		widths[i] = utf8.RuneCountInString(c.Word)
		for _, r := range d.Rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(r.Cells[i].Count))
		}
		fmt.Fprintf(b, "  %*s", widths[i], c.Word)
	}
	b.WriteString("\n")
	for _, r := range d.Rows {
		for i, c := range r.Cells {
			fmt.Fprintf(b, "  %*s", widths[i], c.Count)
		}
		b.WriteString("  " + r.Source + "\n")
	}
}

// writeFacts aligns the values.
func writeFacts(b *bytes.Buffer, facts []fact) {
	width := 0
	for _, f := range facts {
		width = max(width, utf8.RuneCountInString(f.Label)+1)
	}
	for _, f := range facts {
		fmt.Fprintf(b, "%-*s %s\n", width, f.Label+":", f.Value)
	}
}
