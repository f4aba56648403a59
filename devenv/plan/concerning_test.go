package plan_test

import (
	"testing"

	"github.com/devenv-run/devenv/devenv/plan"
)

func TestConcerningHasWhatIsNeeded(t *testing.T) {
	p := plan.Plan{Steps: []plan.Step{
		{Number: 1, Action: plan.Create, Subject: "cluster", Cause: "a"},
		{Number: 2, Action: plan.Build, Subject: "image grades", Cause: "b"},
		{Number: 3, Action: plan.Build, Subject: "image web", Cause: "c"},
		{Number: 4, Needs: []int{1, 2}, Action: plan.Apply, Subject: "grades", Cause: "d"},
		{Number: 5, Needs: []int{1, 3}, Action: plan.Apply, Subject: "web", Cause: "e"},
		{Number: 6, Needs: []int{4}, Action: plan.Await, Subject: "grades", Cause: "f"},
	}}
	for subject, want := range map[string]string{
		"grades": "[] -> #1 cluster, Create, a\n[] -> #2 image grades, Build, b\n[1 2] -> #4 grades, Apply, d\n[4] -> #6 grades, Await, f\n",
		"web":    "[] -> #1 cluster, Create, a\n[] -> #3 image web, Build, c\n[1 3] -> #5 web, Apply, e\n",
		"other":  "",
	} {
		steps := p.Concerning(func(s plan.Step) bool { return s.Subject == subject })
		if got := (plan.Plan{Steps: steps}).String(); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", subject, got, want)
		}
	}
}
