package devenv

import (
	"context"

	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

// UpOptions say how much Up does.
type UpOptions struct {
	Services []string // only these, and what belongs to no service; empty: everything
	Data     bool     // what is no longer declared goes even if persistent data, or what others put beside it, goes with it
}

func (o UpOptions) check() error {
	if o.Data && len(o.Services) > 0 {
		return &fault.Error{
			Kind: fault.Config, What: "--data does not go together with services: a run for some services removes nothing",
			Next: "Leave out either of them.",
		}
	}
	return nil
}

// tellKept says what is no longer declared and stays, each in a line.
func (p *Project) tellKept(g *gathered, kept []plan.Kept) {
	for _, k := range kept {
		p.once(event.Kept{Subject: k.ID.String(), Reason: "no longer declared, but " + k.Reason})
	}
	for _, why := range []map[plan.ID]string{g.undeclared.Others, g.undeclared.Unread} {
		for id, reason := range why {
			p.once(event.Kept{Subject: id.String(), Reason: "no longer declared, but " + reason})
		}
	}
	if len(kept) > 0 {
		p.notice("`devenv up --data` removes what was kept, with its data")
	}
}

// tidy brings the inventory up to date after a whole deployment.
func (p *Project) tidy(ctx context.Context, g *gathered, kept []plan.Kept) error {
	ids := make([]plan.ID, len(kept))
	for i, k := range kept {
		ids[i] = k.ID
	}
	return g.cluster.Tidy(ctx, g.desired.Sources, g.undeclared, ids)
}
