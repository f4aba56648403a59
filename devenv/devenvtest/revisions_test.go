package devenvtest_test

import (
	"testing"

	"github.com/devenv-run/devenv/devenv/devenvtest"
	"github.com/devenv-run/devenv/devenv/history"
)

func TestRevisions(t *testing.T) {
	devenvtest.StoreSuite(t, func(*testing.T) devenvtest.StoreSubject {
		fake := &devenvtest.Revisions{}
		return devenvtest.StoreSubject{Store: fake, Other: &devenvtest.Revisions{}, Refresh: func() history.Store { return fake }}
	})
}
