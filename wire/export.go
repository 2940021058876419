package wire

import (
	"bufio"
	"fmt"
	"io"
	"time"

	"alerthub/models"
)

// ExportedEvent is an event in an export: as the API shows it, with what an
// import needs to restore it.
type ExportedEvent struct {
	Event
	Peer      *string `json:"peer"`
	AckedPeer *string `json:"acked_peer"`
}

// ExportedAlert is an email alert in an export.
type ExportedAlert struct {
	EmailAlert
	UpdatedAt *string `json:"updated_at"` // models.TimeLayout
}

// FromExported makes the exported form of e.
func FromExported(e models.Event) ExportedEvent {
	return ExportedEvent{Event: FromEvent(e), Peer: orNull(e.Peer), AckedPeer: orNull(e.AckedPeer)}
}

// FromExportedAlert makes the exported form of a.
func FromExportedAlert(a models.EmailAlert) ExportedAlert {
	return ExportedAlert{EmailAlert: FromEmailAlerts([]models.EmailAlert{a})[0], UpdatedAt: timeOrNull(a.UpdatedAt)}
}

// Stats is everything that is counted, at zero too.
type Stats struct {
	TotalEvents   int64          `json:"total_events"`
	Severity      severityCounts `json:"severity"`
	Channel       channelCounts  `json:"channel"`
	Email         alertCounts    `json:"email"`
	Webhook       alertCounts    `json:"webhook"`
	TCPMessages   int64          `json:"tcp_messages"` // since the start of the process, as all that follow
	HTTPMessages  int64          `json:"http_messages"`
	EmailSentOK   int64          `json:"email_sent_ok"`
	EmailSentFail int64          `json:"email_sent_fail"`
}

type severityCounts struct {
	Info     int64 `json:"info"`
	Warning  int64 `json:"warning"`
	Error    int64 `json:"error"`
	Critical int64 `json:"critical"`
}

type channelCounts struct {
	TCP  int64 `json:"tcp_socket"`
	HTTP int64 `json:"http_api"`
}

type alertCounts struct {
	Sent      int64 `json:"sent"`
	Failed    int64 `json:"failed"`
	Skipped   int64 `json:"skipped"`
	Pending   int64 `json:"pending"`
	Digested  int64 `json:"digested"`
	Cancelled int64 `json:"cancelled"`
}

func fromAlertCounts(n map[models.EmailStatus]int64) alertCounts {
	return alertCounts{
		Sent: n[models.EmailSent], Failed: n[models.EmailFailed], Skipped: n[models.EmailSkipped],
		Pending: n[models.EmailPending], Digested: n[models.EmailDigested], Cancelled: n[models.EmailCancelled],
	}
}

// FromStats makes the shown form of stats.
func FromStats(stats models.Stats) Stats {
	return Stats{
		TotalEvents: stats.Events,
		Severity: severityCounts{
			Info: stats.Severity[models.SeverityInfo], Warning: stats.Severity[models.SeverityWarning],
			Error: stats.Severity[models.SeverityError], Critical: stats.Severity[models.SeverityCritical],
		},
		Channel: channelCounts{TCP: stats.Channel[models.ChannelTCP], HTTP: stats.Channel[models.ChannelHTTP]},
		Email:   fromAlertCounts(stats.Email), Webhook: fromAlertCounts(stats.Webhook),
		TCPMessages: stats.Process.TCPMessages, HTTPMessages: stats.Process.HTTPMessages,
		EmailSentOK: stats.Process.EmailSentOK, EmailSentFail: stats.Process.EmailSentFail,
	}
}

// ExportWriter writes an export in the shape of the first program:
//
//	{"events":[...],"email_logs":[...],"stats":{...},"exported_at":"..."}
//
// with a line for every event and email. The emails of a page of events come
// with it but stand behind all events, so they wait in a spool, which keeps
// memory bounded. The first error stays: see bufio.Writer.
type ExportWriter struct {
	out, spooled *bufio.Writer
	spool        io.ReadWriteSeeker
	events       int
	emails       int
}

// NewExportWriter writes to w. The spool must be empty.
func NewExportWriter(w io.Writer, spool io.ReadWriteSeeker) *ExportWriter {
	return &ExportWriter{out: bufio.NewWriterSize(w, exportBuffer), spooled: bufio.NewWriterSize(spool, exportBuffer), spool: spool}
}

const (
	exportBuffer = 32 << 10
	eventsHead   = `{"events":[`
)

// Page writes events, and keeps their emails.
func (x *ExportWriter) Page(events []models.Event, emails []models.EmailAlert) error {
	for _, e := range events {
		if err := writeItem(x.out, eventsHead, &x.events, FromExported(e)); err != nil {
			return err
		}
	}
	for _, a := range emails {
		if err := writeItem(x.spooled, "", &x.emails, FromExportedAlert(a)); err != nil {
			return err
		}
	}
	return nil
}

// End writes all that follows the events.
func (x *ExportWriter) End(stats models.Stats, at time.Time) error {
	if err := x.spooled.Flush(); err != nil {
		return err
	}
	if _, err := x.spool.Seek(0, io.SeekStart); err != nil {
		return err
	}
	counts, err := Marshal(FromStats(stats))
	if err != nil {
		return err
	}
	head := "\n],\"email_logs\":["
	if x.events == 0 {
		head = eventsHead + head
	}
	if _, err := x.out.WriteString(head); err != nil {
		return err
	}
	if _, err := io.Copy(x.out, x.spool); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(x.out, "\n],\"stats\":%s,\"exported_at\":\"%s\"}\n", counts, models.FormatTime(at)); err != nil {
		return err
	}
	return x.out.Flush()
}

// writeItem writes an item of a list on a line of its own, and before the
// first one the list's head.
func writeItem(w *bufio.Writer, head string, n *int, item any) error {
	text, err := Marshal(item)
	if err != nil {
		return err
	}
	if *n > 0 {
		head = ","
	}
	*n++
	_, err = fmt.Fprintf(w, "%s\n%s", head, text)
	return err
}
