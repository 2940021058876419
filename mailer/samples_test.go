package mailer

import (
	"fmt"
	"time"

	"alerthub/models"
)

const (
	sampleSender = "Network Alert Hub <hub@example.net>"
	samplePanel  = "https://alerts.example.net"
)

// due is a notice about a critical event with these texts.
func due(source, text string) models.Notice {
	return models.Notice{
		Alert:   models.EmailAlert{ID: 7, EventID: 42, CreatedAt: born, Recipient: "ops@example.net", Status: models.EmailPending},
		Event:   models.Event{ID: 42, CreatedAt: born, Source: source, Severity: models.SeverityCritical, Message: text, Channel: models.ChannelTCP},
		Contact: models.Contact{Language: "en"},
	}
}

// sampleDigest is a notice of two events with these texts.
func sampleDigest(source, text string) models.Notice {
	n := due(source, text)
	n.Contact.Name = "noc"
	older := n.Event
	older.ID, older.CreatedAt, older.Severity = 41, born.Add(-time.Minute), models.SeverityWarning
	n.Digest = &models.Digest{
		Reason: models.DigestGathered, From: older.CreatedAt, To: born, Severity: [4]int64{0, 1, 0, 1},
		Sources: []models.SourceCount{{Source: source, Severity: [4]int64{0, 1, 0, 1}}},
		Newest:  []models.Event{n.Event, older},
	}
	return n
}

// samples are the notices of the golden mails, in English and without their
// language in the name.
func samples() map[string]models.Notice {
	all := map[string]models.Notice{
		"event-critical": due("core-sw-1", "Uplink Gi0/1 is down.\nNo carrier since 18:25."),
		"event-error":    due("Añasco – central eléctrica", "Caída de tensión: 187 V\tfase 2 = crítica"),
		"event-warning":  due("backup.example.net", "Job nightly-full took 06:12:44, twice its usual time; 3,120 files were skipped because another process held them open"),
		"event-info":     due("door-7", "opened"),
		"event-hostile":  due("=?utf-8?q?X?=", ".\n..\nFrom here\n--=_alerthub--\n<b>&amp;</b> src=\"cid:x\"\nSeverity: INFO\r\n\r\n\u202Etfel"),
		"digest-gathered": gathered("core-sw-1", [4]int64{0, 0, 3, 1},
			"Uplink Gi0/1 is down.", "Uplink Gi0/1 flaps", "Uplink Gi0/1 flaps", "CRC errors on Gi0/1: 1204 in 60 s"),
		"digest-limit": limited(),
		"digest-quiet": quiet(),
	}
	for name, s := range map[string]models.Severity{
		"event-error": models.SeverityError, "event-warning": models.SeverityWarning, "event-info": models.SeverityInfo,
	} {
		n := all[name]
		n.Event.Severity, n.Event.Channel, n.Contact.Name = s, models.ChannelHTTP, "noc"
		all[name] = n
	}
	return all
}

func gathered(source string, counts [4]int64, texts ...string) models.Notice {
	n := due(source, texts[0])
	n.Contact.Name = "noc"
	n.Digest = &models.Digest{
		Reason: models.DigestGathered, From: born.Add(-11 * time.Minute), To: born, Severity: counts,
		Sources: []models.SourceCount{{Source: source, Severity: counts}},
	}
	for i, text := range texts {
		e := n.Event
		e.ID -= int64(i)
		e.CreatedAt = born.Add(-time.Duration(i) * 83 * time.Second)
		e.Message = text
		if i > 0 {
			e.Severity = models.SeverityError
		}
		n.Digest.Newest = append(n.Digest.Newest, e)
	}
	return n
}

func limited() models.Notice {
	n := gathered("core-sw-1", [4]int64{0, 22, 12, 3},
		"Uplink Gi0/1 is down.", "BGP neighbor 198.51.100.7 (AS 64500): hold timer expired",
		"OSPF adjacency with 10.0.4.1 lost on Te1/0/49", "on battery, 41 min left", "Caída de tensión: 187 V")
	n.Digest.Reason = models.DigestLimit
	n.Digest.Sources = []models.SourceCount{
		{Source: "core-sw-1", Severity: [4]int64{0, 2, 1, 2}}, {Source: "ups-3", Severity: [4]int64{0, 0, 4, 1}},
		{Source: "edge-rtr-2.bcn.example.net", Severity: [4]int64{0, 5, 5, 0}}, {Source: "Añasco – central eléctrica", Severity: [4]int64{0, 14, 2, 0}},
		{Source: "door-7", Severity: [4]int64{0, 1, 0, 0}},
	}
	for i, source := range []string{"core-sw-1", "edge-rtr-2.bcn.example.net", "edge-rtr-2.bcn.example.net", "ups-3", "Añasco – central eléctrica"} {
		n.Digest.Newest[i].Source = source
	}
	n.Digest.Newest[4].Severity = models.SeverityWarning
	return n
}

// quiet is a night with more than a mail shows.
func quiet() models.Notice {
	n := due("rack-01", "fan 2 stopped")
	n.Contact.Name = "guardia ñ"
	n.Event.Severity = models.SeverityError
	d := &models.Digest{
		Reason: models.DigestQuiet, From: born.Add(-8 * time.Hour).Add(-26 * time.Minute), To: born.Add(6 * time.Hour),
		Severity: [4]int64{1250, 310, 62, 0}, OtherSources: 14,
	}
	for i := range models.MaxDigestSources {
		c := models.SourceCount{Source: fmt.Sprintf("rack-%02d", i+1), Severity: [4]int64{25, 6, int64(max(0, 11-i)), 0}}
		d.Sources = append(d.Sources, c)
	}
	for i := range models.MaxDigestNewest {
		e := n.Event
		e.ID, e.CreatedAt, e.Source = int64(1622-i), d.To.Add(-time.Duration(i)*61*time.Minute), fmt.Sprintf("rack-%02d", i%3+1)
		if i%3 > 0 {
			e.Severity, e.Message = models.SeverityWarning, fmt.Sprintf("intake air %d.5 °C", 38-i)
		}
		d.Newest = append(d.Newest, e)
	}
	n.Event, n.Digest = d.Newest[0], d
	return n
}
