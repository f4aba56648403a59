package main

import "testing"

// withoutResource is every capability up to CAP_CHECKPOINT_RESTORE but CAP_SYS_RESOURCE (number 24).
const withoutResource = bounding((1<<41 - 1) &^ (1 << 24))

func TestParseBounding(t *testing.T) {
	got, err := parseBounding("Name:\tcat\nCapEff:\t0000000000000000\nCapBnd:\t000001fffeffffff\nCapAmb:\t0000000000000000\n")
	if err != nil {
		t.Fatal(err)
	}
	if got != withoutResource {
		t.Errorf("got %x, want %x", got, withoutResource)
	}
	for _, bad := range []string{"", "CapBnd:\tnonsense\n"} {
		if _, err := parseBounding(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestAllows(t *testing.T) {
	tests := map[string]bool{
		"CAP_CHOWN": true, "CAP_SYS_ADMIN": true, "CAP_CHECKPOINT_RESTORE": true,
		"CAP_SYS_RESOURCE":      false,
		"CAP_OF_A_LATER_KERNEL": true, // for runc to judge
	}
	for name, want := range tests {
		if got := withoutResource.allows(name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
