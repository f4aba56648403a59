// Package e2e holds scenarios: the devenv binary, the sample app as a user has it, a real engine and a real cluster. They run where
// DEVENV_E2E=1 (make e2e), and each step says what it checks in a sentence. Scenarios run side by side, three
// at a time (-parallel), the longest first, because most of their time is waiting.
//
// A scenario works on a copy of sample-app in an environment of its own (--env e2e, --env e2e3), so that it neither changes the
// checkout nor meets a developer's own academy. What goes wrong leaves its traces in the directory that
// DEVENV_E2E_ARTIFACTS names.
package e2e
