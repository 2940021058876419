package handlers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"alerthub/models"
	"alerthub/wire"
)

// maxBatch bounds the events of one request.
const maxBatch = 1000

// patience is how long a request waits for its commit; a full queue is told
// by the service, and sooner. A device that speaks HTTP has a timeout of its
// own: better a 503 that says what is known than none.
const patience = 10 * time.Second

// headerKey carries an idempotency key outside of the body.
const headerKey = "Idempotency-Key"

// created answers one event: the event itself, and what the TCP door answers.
type created struct {
	wire.Event
	EventID   int64    `json:"event_id"`
	Duplicate bool     `json:"duplicate,omitzero"`
	Truncated []string `json:"truncated,omitempty"`
}

// result answers one item of a batch, in the words of the TCP door.
type result struct {
	OK        bool     `json:"ok"`
	EventID   int64    `json:"event_id,omitzero"`
	Duplicate bool     `json:"duplicate,omitzero"`
	Truncated []string `json:"truncated,omitempty"`
	Error     string   `json:"error,omitempty"`
	Field     string   `json:"field,omitempty"`
	RetryMS   int64    `json:"retry_ms,omitzero"`
}

// postEvents stores one event, or several as one group.
func (h *Handler) postEvents(c echo.Context) error {
	r := c.Request()
	lines, err := isLines(r.Header.Get(echo.HeaderContentType))
	if err != nil {
		return err
	}
	key := r.Header.Get(headerKey)
	if !utf8.ValidString(key) {
		return refuse(invalidEvent, fieldError{headerKey, "must be UTF-8"})
	}
	body, err := readBody(r)
	if err != nil {
		return err
	}
	from := wire.Origin{Channel: models.ChannelHTTP, Peer: c.RealIP(), Key: key, Sender: models.ActorOf(r.Context())}
	var items [][]byte
	switch {
	case lines:
		items = splitLines(body)
	case startsArray(body):
		if items, err = wire.SplitArray(body, maxBatch); err != nil {
			return err
		}
	default:
		return h.postOne(c, body, from)
	}
	if len(items) > maxBatch {
		return refuse(tooLarge)
	}
	return h.postBatch(c, items, from)
}

func (h *Handler) postOne(c echo.Context, body []byte, from wire.Origin) error {
	ctx := c.Request().Context()
	draft, err := h.decode(body, from)
	if err != nil {
		return holdBack(ctx, err)
	}
	h.noteSender(ctx, draft, 1)
	receipts, err := h.register(ctx, []models.Draft{draft})
	if err != nil {
		return err
	}
	receipt := &receipts[0]
	if receipt.Err != nil {
		return receipt.Err
	}
	status, event := http.StatusCreated, receipt.Event
	if receipt.Duplicate {
		status = http.StatusOK
		if event, err = h.svc.Event(ctx, event.ID); err != nil {
			return err
		}
	}
	c.Response().Header().Set(echo.HeaderLocation, pathEvents+"/"+strconv.FormatInt(event.ID, 10))
	return answerJSON(c, status, echo.MIMEApplicationJSON, created{
		Event: wire.FromEvent(event), EventID: event.ID, Duplicate: receipt.Duplicate, Truncated: receipt.Truncated,
	})
}

// decode reads one event and asks whether its sender may report one more.
func (h *Handler) decode(raw []byte, from wire.Origin) (models.Draft, error) {
	draft, err := wire.Decode(raw, from)
	if limited := h.limit(draft); limited != nil {
		err = limited
	}
	return draft, err
}

// holdBack keeps a flood waiting for its refusal.
func holdBack(ctx context.Context, err error) error {
	if limited := (*models.RateLimited)(nil); errors.As(err, &limited) && limited.Pause > 0 {
		over := time.NewTimer(limited.Pause)
		defer over.Stop()
		select {
		case <-over.C:
		case <-ctx.Done():
		}
	}
	return err
}

// postBatch answers item by item, in order: what is wrong with one keeps no
// other from being stored. A failure of the storage concerns all of them and
// is the answer to the whole request, and so is that all are too many.
func (h *Handler) postBatch(c echo.Context, items [][]byte, from wire.Origin) error {
	results := make([]result, len(items))
	drafts := make([]models.Draft, 0, len(items))
	places := make([]int, 0, len(items)) // of the drafts, among the results
	limited, longest := 0, new(models.RateLimited)
	key := from.Key
	for i, item := range items {
		if key != "" {
			// One header makes a whole batch repeatable, if the order stays.
			from.Key = key + "/" + strconv.Itoa(i+1)
		}
		draft, err := h.decode(item, from)
		if err != nil {
			var wait *models.RateLimited
			if errors.As(err, &wait) {
				limited++
				longest.Wait, longest.Pause = max(longest.Wait, wait.Wait), max(longest.Pause, wait.Pause)
			}
			results[i] = refused(err)
			continue
		}
		drafts = append(drafts, draft)
		places = append(places, i)
	}
	ctx := c.Request().Context()
	if err := holdBack(ctx, longest); limited > 0 && limited == len(items) {
		return err
	}
	if len(drafts) > 0 {
		h.noteSender(ctx, drafts[len(drafts)-1], len(drafts))
		receipts, err := h.register(ctx, drafts)
		if err != nil {
			return err
		}
		for i := range receipts {
			results[places[i]] = stored(&receipts[i])
		}
	}
	return answer(c, struct {
		Results []result `json:"results"`
	}{results})
}

// noteSender notes events of somebody who has shown nothing.
func (h *Handler) noteSender(ctx context.Context, last models.Draft, events int) {
	if who := models.ActorOf(ctx); who.Kind == models.ActorNobody || who.Kind == models.ActorOpen {
		h.senders.AnonymousSent(last.Peer, last.Source, events)
	}
}

// register is the service's Register, within the patience of an HTTP client.
func (h *Handler) register(ctx context.Context, drafts []models.Draft) ([]models.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	receipts, err := h.svc.Register(ctx, drafts)
	if err != nil {
		return nil, err
	}
	if len(receipts) != len(drafts) {
		return nil, fmt.Errorf("register %d drafts: %d receipts", len(drafts), len(receipts))
	}
	return receipts, nil
}

// refused makes one item's answer out of what is wrong with it.
func refused(err error) result {
	p := problemOf(err)
	return result{Error: p.Word, Field: p.Field, RetryMS: p.RetryMS}
}

// stored makes one item's answer out of its receipt.
func stored(r *models.Receipt) result {
	if r.Err != nil {
		return refused(r.Err)
	}
	return result{OK: true, EventID: r.Event.ID, Duplicate: r.Duplicate, Truncated: r.Truncated}
}

// isLines reports whether the body is one object a line. Absent types count as
// JSON, and so does what `curl -d` says of every body: a real form cannot
// begin with a brace, and cross-origin writes are refused before.
func isLines(contentType string) (bool, error) {
	if contentType == "" {
		return false, nil
	}
	mediaType, parameters, err := mime.ParseMediaType(contentType)
	if charset := parameters["charset"]; err != nil || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return false, refuse(unsupportedType)
	}
	switch mediaType {
	case echo.MIMEApplicationJSON, echo.MIMEApplicationForm:
		return false, nil
	case "application/x-ndjson":
		return true, nil
	}
	return false, refuse(unsupportedType)
}

// startsArray reports whether the first sign of the body is a bracket.
func startsArray(body []byte) bool {
	return bytes.HasPrefix(bytes.TrimSpace(body), []byte("["))
}

// splitLines cuts the body into its lines; blank ones do not count. It stops
// when there is one too many.
func splitLines(body []byte) [][]byte {
	var lines [][]byte
	for line := range bytes.Lines(body) {
		if len(bytes.TrimSpace(line)) > 0 {
			lines = append(lines, line)
		}
		if len(lines) > maxBatch {
			break
		}
	}
	return lines
}
