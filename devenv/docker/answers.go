package docker

import "context"

// Answers says whether the engine can be reached now: nil, or why not.
func (e *Engine) Answers(ctx context.Context) error {
	if _, err := e.api.Ping(ctx); err != nil {
		return e.unanswered(context.WithoutCancel(ctx), err)
	}
	return nil
}
