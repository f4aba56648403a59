package plan

// Concerning lists the steps of the plan that about says yes to, with all that they need, in the order of the plan. They keep their
// numbers.
func (p Plan) Concerning(about func(Step) bool) []Step {
	wanted := make([]bool, len(p.Steps)+1)
	for i := len(p.Steps) - 1; i >= 0; i-- { // what is needed comes first in a plan
		s := p.Steps[i]
		if wanted[s.Number] = wanted[s.Number] || about(s); wanted[s.Number] {
			for _, n := range s.Needs {
				wanted[n] = true
			}
		}
	}
	var steps []Step
	for _, s := range p.Steps {
		if wanted[s.Number] {
			steps = append(steps, s)
		}
	}
	return steps
}
