package devenvtest_test

import (
	"testing"

	"github.com/devenv-run/devenv/devenv/devenvtest"
)

func TestBuilder(t *testing.T) {
	devenvtest.BuilderSuite(t, func(*testing.T) devenvtest.Workshop { return &devenvtest.Builder{} })
}
