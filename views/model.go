// Package views owns the panel's HTML: the layout, one page a tab, and the
// parts that pages and live frames share. Its components take plain values
// and speak the language and the time zone of their context (package i18n).
// They never ask the hub, know no router, and hold no state; the package runs
// no goroutine.
//
// What the live frames rely on: every event row is <tr id="e<id>">, every one
// of a dashboard's small table <tr id="m<id>">, every email row
// <tr id="al-<id>">, inside <tbody id="rows"> and <tbody id="alert-rows">,
// which are there even when empty. frames.templ lists the rest.
package views

import (
	"time"

	"alerthub/models"
	"alerthub/query"
)

// How many rows a table shows, when it is first rendered and while it is live.
const (
	EventsCap = 100
	AlertsCap = 100
	MiniCap   = 5 // each table of the dashboard
	SourceCap = 6
)

// AttentionRead is how many of the events that wait for a person are read for
// the MiniCap that the dashboard shows, since repeats share one line.
const AttentionRead = 100

// Section is one of the panel's tabs.
type Section string

// The tabs, and what the user's menu leads to. The names are also the views
// that the live socket knows, except of what is not a tab, which has none.
const (
	SectionNone      Section = ""
	SectionDashboard Section = "dashboard"
	SectionCreate    Section = "create"
	SectionEvents    Section = "events"
	SectionAlerts    Section = "alerts"
	SectionAudit     Section = "audit"

	SectionAccount Section = "account"
	SectionPeople  Section = "people"
	SectionKeys    Section = "keys"
)

// Assets are the URLs of the embedded files that every page loads.
type Assets struct {
	Stylesheet     string
	Script         string
	Favicon        string
	FaviconAlert   string
	FaviconOffline string
}

// Page is what the layout needs to know besides the content.
type Page struct {
	Title    string
	Section  Section // the tab that is current, if any
	Socket   string  // the address of the page's socket with its parameters; "" for none
	Refresh  bool    // without JavaScript the page reloads by itself
	Theme    string  // "light", "dark", or "" for the system's
	OtherURL string  // this page in the other language
	Version  string
	Health   models.Health
	Assets   Assets
	Wall     bool // for a screen on the wall: no controls
	Bare     bool // for those who have not signed in: neither header nor anything of the hub
	Actor    models.Actor
	Header   HeaderData
	Name     string // who acknowledges here; "" when it is not known
	UTC      bool   // times in UTC by the reader's choice
	Compact  bool   // tables in compact density
	Toasts   []Toast
}

// operates reports whether the reader may do more than read. What pages and
// live frames share is the same for everybody, and style hides from others
// what only these can do: html[data-may].
func (p Page) operates() bool { return p.Actor.May(models.PermitOperate) }

// HeaderData is what the header counts, over everything stored.
type HeaderData struct {
	Critical     int64 // criticals that nobody has acknowledged
	FailedAlerts int64

	WaitingEmails, WaitingWebhooks int64 // to be delivered
}

// HeaderOf is what the header counts, critical of them criticals.
func HeaderOf(stats models.Stats, critical int64) HeaderData {
	return HeaderData{
		Critical:     critical,
		FailedAlerts: stats.Email[models.EmailFailed] + stats.Webhook[models.EmailFailed],

		WaitingEmails: stats.Email[models.EmailPending], WaitingWebhooks: stats.Webhook[models.EmailPending],
	}
}

// Toast is a short message that goes away, or is sent away.
type Toast struct {
	Tone string // success, info, warning, error
	Text string
	Undo string // body of the POST to /events/unack that undoes it; "" for none
}

// KpiData is the dashboard's key figures.
type KpiData struct {
	Series         models.Series
	Previous       models.Counts // of the window before
	Unacked        HeaderData
	Range          models.Range
	TCPConnections int64
}

// DashboardData is the content of the dashboard and of the wall.
type DashboardData struct {
	Kpi          KpiData
	At           time.Time
	Attention    models.Attention
	Rows         []Row
	LastID       int64 // newest event that Rows take account of
	Alerts       []models.EmailAlert
	Sources      []models.SourceCount
	Samples      Samples
	FirstRun     bool      // nothing was ever stored
	LastCritical time.Time // zero when there was none
	Canary       models.CanaryState
	WallRows     int // rows that the wall shows
}

// EventsData is the content of the events page.
type EventsData struct {
	Query    query.Query
	Rows     []Row
	LastID   int64 // newest event that Rows take account of
	Page     models.EventPage
	Before   int64 // the bound of an older page; 0 on the live one
	Match    models.Match
	Waiting  models.Attention // how many wait for a person, whatever the query
	Series   models.Series    // of the strip; without Counts there is none
	Sources  []string
	Index    models.IndexState
	Drawer   *DrawerData
	Samples  Samples
	FirstRun bool // nothing was ever stored
	At       time.Time
}

// DrawerData is one event with everything that is known of it.
type DrawerData struct {
	Event        models.Event
	Alerts       []models.EmailAlert
	Newer, Older int64 // its neighbours in the list; 0 for none
	Why          Why
	At           time.Time
	Back         string // the list that it was opened from
}

// AlertsData is the content of the email alerts page.
type AlertsData struct {
	Stats          models.Stats
	Counts         models.Counts // of the last 24 hours
	Query          query.Outbox
	Contacts       []string // the known ones
	Alerts         []AlertLine
	Before         int64 // the bound of an older page; 0 on the live one
	Next           int64 // Before of the next older page; 0 when there is none
	SMTPConfigured bool
	Missing        []string // the settings that email lacks
	Opened         *AlertData
	At             time.Time
}

// AlertLine is an email with its event, which is zero when it is not known.
type AlertLine struct {
	Alert models.EmailAlert
	Event models.Event
}

// AuditData is the content of the audit page.
type AuditData struct {
	Range       models.Range
	Now, Before models.Counts // of the range, and of the one before it
	Stats       models.Stats
	Ingest      IngestData
	Activity    *ActivityData // nil for those who may not see it
	At          time.Time
}

// ActivityCap is how many lines of the audit log the audit page shows.
const ActivityCap = 50

// ActivityData is a page of the audit log.
type ActivityData struct {
	Entries []models.AuditEntry
	Filter  models.AuditFilter
	Next    int64 // Before of the next older page; 0 when there is none
}

// IngestData is how the intake does.
type IngestData struct {
	Refused     int64 // lines and requests refused since the start
	Limited     int64 // events refused since the start because their sender reported too much
	Limits      models.IntakeLimits
	Connections int64 // open TCP connections
	Panels      int64 // open pages
	P99         time.Duration
	Stored      int64 // bytes
	Behind      int64 // events that the search index lacks
}

// Samples are the addresses that the command lines shown to people use.
type Samples struct {
	Host     string // as the browser reached the panel, without port
	TCPPort  int
	TCPTLS   bool
	HTTPPort int
	HTTPS    bool
}

// CreateData is what surrounds the create-event form.
type CreateData struct {
	Samples    Samples
	Sources    []string // known ones, to suggest
	Recipients []string // who gets the emails; none when email is not set up, or routes decide
	Routed     bool     // they do
	Panels     int64    // open pages
	MaxImport  int64    // bytes of a file to import
}

// EventForm is the create-event form with what was typed into it.
type EventForm struct {
	Source   string
	Severity string
	Message  string
	Key      string // makes a repeated submit of this very form harmless

	// The problems, in the reader's language; "" where there is none.
	SourceError, SeverityError, MessageError string

	Trouble string // why a valid form could not be stored; "" when it was not tried
	Created int64  // the event that the previous submit made; 0 for none
}

// Problems counts the fields that must be corrected.
func (f EventForm) Problems() int {
	n := 0
	for _, e := range []string{f.SourceError, f.SeverityError, f.MessageError} {
		if e != "" {
			n++
		}
	}
	return n
}

// NameData asks who acknowledges, and carries on what was to be done.
type NameData struct {
	IDs    []string
	Group  bool   // each id stands for its group
	Action string // where the form goes; "" when IDs say that
	Next   string // the page to go back to
	Error  string // in the reader's language
}

// AckAllData asks before everything that a filter selects is acknowledged.
type AckAllData struct {
	Query query.Query
	Upto  int64 // only events below
	Count int64
	Exact bool // false: at least Count
}

// ImportData is a file of events before, during and after its import.
type ImportData struct {
	models.Import        // without a token: there is no such file
	Trouble       string // why what was asked was not done, in the reader's language
}

// ErrorData is the content of an error page.
type ErrorData struct {
	Status    int // 404, 503; anything else is told as a failure of the hub
	RequestID string
}

// BeatData says that the connection lives.
type BeatData struct {
	LastID int64 // newest event that the page has been told of
	At     time.Time
	AsOf   time.Time // the page has been told of all changes before; it says so when it comes back
	Rate   float64   // events a second, over the whole hub
	Build  string
}

// Gap is a run of events that a table does not draw.
type Gap struct {
	Count        int64
	AtMost       bool // Count is the most that it can be
	FromID, ToID int64
	From, To     time.Time
	Link         string // the list that shows them
}
