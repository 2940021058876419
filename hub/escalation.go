package hub

import (
	"strings"

	"alerthub/models"
)

// EscalateTo makes the rule for events that must reach a person: one email a
// recipient. missing names the settings without which no mail can be sent;
// when there are any, the emails are born skipped and say so.
func EscalateTo(recipients, missing []string) func(models.Draft) []models.NewAlert {
	status, detail := models.EmailPending, ""
	if len(missing) > 0 {
		status, detail = models.EmailSkipped, "email is not configured: "+strings.Join(missing, ", ")+" not set"
		if len(recipients) == 0 {
			recipients = []string{""}
		}
	}
	alerts := make([]models.NewAlert, len(recipients))
	for i, r := range recipients {
		alerts[i] = models.NewAlert{Recipient: r, Status: status, Detail: detail}
	}
	// Shared by all events: nobody changes what a record's Alerts holds.
	return func(models.Draft) []models.NewAlert { return alerts }
}
