package hub

import (
	"strings"

	"alerthub/models"
)

// Birth is how new emails begin. missing names the settings without which no
// mail can be sent; when there are any, the emails are born skipped and say so.
func Birth(missing []string) (status models.EmailStatus, detail string) {
	if len(missing) == 0 {
		return models.EmailPending, ""
	}
	return models.EmailSkipped, "email is not configured: " + strings.Join(missing, ", ") + " not set"
}

// EscalateTo makes the rule for a hub without routes: of events that must
// reach a person, one email a recipient. missing is that of Birth.
func EscalateTo(recipients, missing []string) func(models.Draft) []models.NewAlert {
	status, detail := Birth(missing)
	if len(missing) > 0 && len(recipients) == 0 {
		recipients = []string{""}
	}
	alerts := make([]models.NewAlert, len(recipients))
	for i, r := range recipients {
		alerts[i] = models.NewAlert{Recipient: r, Status: status, Detail: detail}
	}
	return func(d models.Draft) []models.NewAlert {
		if !d.Severity.Escalates() {
			return nil
		}
		return alerts // shared by all events: nobody changes what a record's Alerts holds
	}
}
