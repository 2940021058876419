// Package views owns the panel's HTML: the layout, one page a tab, and the
// parts that pages and live frames share. Its components take plain values
// and speak the language of their context (package i18n). They never ask the
// hub, know no router, and hold no state; the package runs no goroutine.
//
// What the live frames rely on: every event row is <tr id="ev-<id>">, every
// email row <tr id="al-<id>">, inside <tbody id="rows"> and
// <tbody id="alert-rows">, which are there even when empty; the counters are
// #counters, #alert-figures and #audit-tables; #notices tells what is wrong.
package views

import (
	"alerthub/models"
)

// How many rows a table shows, when it is first rendered and while it is live.
const (
	EventsCap    = 100
	AlertsCap    = 100
	DashboardCap = 10
)

// Section is one of the panel's tabs.
type Section string

// The tabs. Their names are also the views that the live socket knows, except
// Create, which has none.
const (
	SectionNone      Section = ""
	SectionDashboard Section = "dashboard"
	SectionCreate    Section = "create"
	SectionEvents    Section = "events"
	SectionAlerts    Section = "alerts"
	SectionAudit     Section = "audit"
)

// Assets are the URLs of the embedded files that every page loads.
type Assets struct {
	Stylesheet     string
	Script         string
	Favicon        string
	FaviconOffline string
}

// Page is what the layout needs to know besides the content.
type Page struct {
	Title    string
	Section  Section // the tab that is current, if any
	Live     bool    // the page opens the socket of its section
	Refresh  bool    // without JavaScript the page reloads by itself
	Theme    string  // "light", "dark", or "" for the system's
	OtherURL string  // this page in the other language
	Version  string
	Health   models.Health
	Assets   Assets
}

// DashboardData is the content of the dashboard.
type DashboardData struct {
	Stats   models.Stats
	Events  []models.Event
	Alerts  []models.EmailAlert
	Samples Samples
}

// EventsData is the content of the events page.
type EventsData struct {
	Events  []models.Event
	Before  int64 // the bound of an older page; 0 on the live one
	Next    int64 // Before of the next older page; 0 when there is none
	Samples Samples
}

// AlertsData is the content of the email alerts page.
type AlertsData struct {
	Stats          models.Stats
	Alerts         []models.EmailAlert
	Before         int64 // the bound of an older page; 0 on the live one
	Next           int64 // Before of the next older page; 0 when there is none
	SMTPConfigured bool
}

// EventData is the content of one event's page.
type EventData struct {
	Event  models.Event
	Alerts []models.EmailAlert
}

// Samples are the addresses that the command lines shown to people use.
type Samples struct {
	Host     string // as the browser reached the panel, without port
	TCPPort  int
	HTTPPort int
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

// ErrorData is the content of an error page.
type ErrorData struct {
	Status    int // 404, 503; anything else is told as a failure of the hub
	RequestID string
}
