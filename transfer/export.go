package transfer

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"alerthub/models"
	"alerthub/wire"
)

// encoder writes the pages of an export in one format.
type encoder interface {
	Page(events []models.Event, emails []models.EmailAlert) error
	End(stats models.Stats, at time.Time) error
}

// Export writes all events that f selects, newest first, whatever its limit.
// It reads a page at a time and holds nothing of the database while it writes
// one, so that a slow reader costs memory for one page. What w got is a whole
// export only if the error is nil.
func (t *Transfer) Export(ctx context.Context, w io.Writer, format models.ExportFormat, f models.EventFilter) error {
	var to encoder
	switch format {
	case models.ExportJSON:
		spool, err := os.CreateTemp(t.cfg.Dir, spoolPattern)
		if err != nil {
			return fmt.Errorf("spool the emails of an export: %w", err)
		}
		defer spool.Close()
		// Nobody else needs its name: it goes with the process, however that ends.
		if err := os.Remove(spool.Name()); err != nil {
			return fmt.Errorf("spool the emails of an export: %w", err)
		}
		to = wire.NewExportWriter(w, spool)
	case models.ExportLines:
		to = lines{bufio.NewWriter(w)}
	case models.ExportCSV:
		to = newCSV(w)
	default:
		return fmt.Errorf("export as %q: %w", format, models.ErrInvalid)
	}
	return t.export(ctx, to, f, format == models.ExportJSON)
}

func (t *Transfer) export(ctx context.Context, to encoder, f models.EventFilter, withEmails bool) error {
	f.Limit = models.MaxLimit
	for {
		page, err := t.source.Events(ctx, f)
		if err != nil {
			return err
		}
		var emails []models.EmailAlert
		if withEmails && len(page.Events) > 0 {
			if emails, err = t.emailsOf(ctx, page.Events); err != nil {
				return err
			}
		}
		if err := to.Page(page.Events, emails); err != nil {
			return err
		}
		if page.NextBefore == 0 {
			break
		}
		if f.Before > 0 && page.NextBefore >= f.Before {
			return fmt.Errorf("export: the page before %d goes on before %d", f.Before, page.NextBefore)
		}
		f.Before = page.NextBefore
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	stats, err := t.source.Stats(ctx)
	if err != nil {
		return err
	}
	return to.End(stats, t.cfg.Now())
}

// emailsOf returns all emails of a page of events, newest first.
func (t *Transfer) emailsOf(ctx context.Context, events []models.Event) (all []models.EmailAlert, err error) {
	f := models.EmailFilter{EventIDs: make([]int64, len(events)), Limit: models.MaxLimit}
	for i := range events {
		f.EventIDs[i] = events[i].ID
	}
	for {
		emails, err := t.source.EmailAlerts(ctx, f)
		if err != nil {
			return nil, err
		}
		if all = append(all, emails...); len(emails) < f.Limit {
			return all, nil
		}
		f.Before = emails[len(emails)-1].ID
	}
}

// lines writes one event a line.
type lines struct{ w *bufio.Writer }

func (l lines) Page(events []models.Event, _ []models.EmailAlert) error {
	for i := range events {
		text, err := wire.Marshal(wire.FromExported(events[i]))
		if err != nil {
			return err
		}
		if _, err := l.w.Write(append(text, '\n')); err != nil {
			return err
		}
	}
	return nil
}

func (l lines) End(models.Stats, time.Time) error { return l.w.Flush() }

// csvColumns are the columns of a CSV export.
var csvColumns = []string{
	"id", "created_at", "severity", "source", "message", "channel", "peer", "acked_at", "acked_by", "acked_peer", "raw_payload", "acked_verified",
}

// csv writes a header and a record an event.
type csv struct{ w *bufio.Writer }

func newCSV(w io.Writer) csv {
	c := csv{bufio.NewWriter(w)}
	c.record(csvColumns)
	return c
}

func (c csv) Page(events []models.Event, _ []models.EmailAlert) error {
	for i := range events {
		e := &events[i]
		ackedAt := ""
		if e.Acked() {
			ackedAt = models.FormatTime(e.AckedAt)
		}
		c.record([]string{
			strconv.FormatInt(e.ID, 10), models.FormatTime(e.CreatedAt), string(e.Severity), e.Source, e.Message,
			string(e.Channel), e.Peer, ackedAt, e.AckedBy, e.AckedPeer, e.RawPayload, strconv.FormatBool(e.AckedVerified),
		})
	}
	_, err := c.w.Write(nil) // the first error of the writer, if there was one
	return err
}

func (c csv) End(models.Stats, time.Time) error { return c.w.Flush() }

// record writes one record. A writer that failed stays failed, so that Page
// and End tell.
func (c csv) record(cells []string) {
	_, _ = c.w.WriteString(wire.CSVRecord(cells)) // see above
}
