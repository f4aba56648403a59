package academy

import (
	"fmt"
	"strings"
	"testing"
)

func TestStudentIsTidied(t *testing.T) {
	for in, want := range map[string]string{
		"Ada Lovelace":         "Ada Lovelace",
		"  Ada \t Lovelace\n":  "Ada Lovelace",
		"Zoë Ångström-O'Brien": "Zoë Ångström-O'Brien",
		"李小龍":                  "李小龍",
	} {
		got, err := Student(in)
		if err != nil || got != want {
			t.Errorf("Student(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestStudentIsRefused(t *testing.T) {
	for name, in := range map[string]string{
		"empty":             "",
		"only spaces":       "  \t ",
		"too long":          strings.Repeat("x", MaxStudentLength+1),
		"control character": "Ada\x00Lovelace",
		"not UTF-8":         "Ada\xff",
	} {
		if got, err := Student(in); err == nil {
			t.Errorf("%s: Student(%q) = %q, want an error", name, in, got)
		}
	}
}

func TestLetterChangesAtItsBounds(t *testing.T) {
	for points, want := range map[int]string{0: "F", 59: "F", 60: "D", 69: "D", 70: "C", 79: "C", 80: "B", 89: "B", 90: "A", 100: "A"} {
		if got := Letter(points); got != want {
			t.Errorf("Letter(%d) = %s, want %s", points, got, want)
		}
	}
}

func TestPlacementPointsAreSteadyAndInRange(t *testing.T) {
	seen := map[int]bool{}
	for i := range 500 {
		student := fmt.Sprint("student ", i)
		points := PlacementPoints(student, "go-services")
		if points < 55 || points > 100 {
			t.Fatalf("%s has %d points, want 55 to 100", student, points)
		}
		if again := PlacementPoints(student, "go-services"); again != points {
			t.Fatalf("%s has %d points, then %d", student, points, again)
		}
		seen[points] = true
	}
	if len(seen) < 40 {
		t.Errorf("500 students share %d different results, want nearly all of 46", len(seen))
	}
	if PlacementPoints("ab", "c") == PlacementPoints("a", "bc") && PlacementPoints("xy", "z") == PlacementPoints("x", "yz") {
		t.Error("student and course run together")
	}
}
