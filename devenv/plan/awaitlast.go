package plan

import "slices"

// AwaitLast is p with no step waiting for its Awaits: a step that needs one needs what that one needs instead, so the order of all else
// stays. It is for putting back what served together before, where one part that is slow must not keep the others from being put back.
func (p Plan) AwaitLast() Plan {
	steps := slices.Clone(p.Steps)
	before := map[int][]int{} // by the number of an Await: what it needs, without Awaits
	for i := range steps {
		var needs []int
		for _, n := range steps[i].Needs {
			if through, ok := before[n]; ok {
				needs = append(needs, through...)
			} else {
				needs = append(needs, n)
			}
		}
		steps[i].Needs = union(needs)
		if steps[i].Action == Await {
			before[steps[i].Number] = steps[i].Needs
		}
	}
	return Plan{Steps: steps, Kept: p.Kept}
}
