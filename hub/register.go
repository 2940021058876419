package hub

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"alerthub/models"
)

// Register is Submit and wait for a caller that somebody waits for: it is busy
// after Config.RegisterPatience already.
//
// Errors: models.ErrBusy, models.ErrClosed and models.ErrUnavailable mean that
// nothing was stored; models.ErrUnknown that the context ended before the
// outcome was known.
func (h *Hub) Register(ctx context.Context, drafts []models.Draft) ([]models.Receipt, error) {
	return h.register(ctx, drafts, h.cfg.Escalation)
}

func (h *Hub) register(ctx context.Context, drafts []models.Draft, escalation func(models.Draft) []models.NewAlert) ([]models.Receipt, error) {
	wait, err := h.submit(ctx, drafts, escalation, h.cfg.RegisterPatience)
	if err != nil {
		return nil, err
	}
	receipts, err := wait(ctx)
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("%w: %w", models.ErrUnknown, err)
	}
	return receipts, err
}

// RegisterFor is Register of one draft that causes alerts whatever the rule
// says, in addition to those of the rule. An address of both is told once, and
// that the rule told nobody is not recorded.
func (h *Hub) RegisterFor(ctx context.Context, d models.Draft, alerts []models.NewAlert) (models.Receipt, error) {
	receipts, err := h.register(ctx, []models.Draft{d}, func(d models.Draft) []models.NewAlert {
		return join(h.cfg.Escalation(d), alerts)
	})
	if err != nil {
		return models.Receipt{}, err
	}
	return receipts[0], nil
}

// join is the alerts of a rule and some more. It changes neither.
func join(rule, more []models.NewAlert) []models.NewAlert {
	if len(more) == 0 {
		return rule
	}
	all := slices.Clone(more)
	for _, a := range rule {
		same := func(b models.NewAlert) bool {
			return a.Contact == b.Contact && a.Recipient == b.Recipient &&
				cmp.Or(a.Channel, models.DeliveryEmail) == cmp.Or(b.Channel, models.DeliveryEmail)
		}
		if a.Recipient != "" && !slices.ContainsFunc(more, same) {
			all = append(all, a)
		}
	}
	return all
}
