package devenv

// slim keeps an idle process small. To give memory back costs a whole garbage collection, and the pages of the program that are needed again
// after it, so it is done only where it is worth it.
type slim struct {
	least int64 // what was resident when memory was given back last, in bytes; 0 before the first time
}

// regrowth is which part of that has to be resident beyond it before it is worth it again, as a divisor.
const regrowth = 3

// down calls giveBack if the process has grown. resident says how large it is, in bytes.
func (s *slim) down(resident func() int64, giveBack func()) {
	if s.least != 0 && resident() < s.least+s.least/regrowth {
		return
	}
	giveBack()
	s.least = resident()
}
