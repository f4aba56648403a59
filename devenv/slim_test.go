package devenv

import "testing"

func TestMemoryIsGivenBackOnlyWhereItGrew(t *testing.T) {
	const mb = 1 << 20
	var s slim
	size, given := int64(0), 0
	for i, step := range []struct {
		grown int64 // since the step before
		given int   // how often it was given back up to here
	}{{100 * mb, 1}, {0, 1}, {19 * mb, 1}, {mb / 2, 1}, {mb / 2, 2}, {0, 2}, {50 * mb, 3}, {2 * mb, 3}} {
		size += step.grown
		s.down(func() int64 { return size }, func() { given++; size = 60 * mb })
		if given != step.given {
			t.Errorf("step %d: given back %d times, want %d", i, given, step.given)
		}
	}
}

func TestResident(t *testing.T) {
	before := resident()
	ballast := make([]byte, 64<<20)
	for i := 0; i < len(ballast); i += 4096 {
		ballast[i] = 1
	}
	grown := resident() - before
	if before < 1<<20 || grown < int64(len(ballast))*3/4 {
		t.Errorf("%d bytes are resident, and %d more with %d more in use", before, grown, len(ballast))
	}
	if ballast[0] != 1 { // it is in use until here
		t.Fail()
	}
}
