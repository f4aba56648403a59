// Package academy holds what the platform talks about: courses, and students'
// enrolments in them with their grades. It knows neither HTTP nor SQL.
package academy

import (
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxStudentLength is the longest name of a student, in characters.
const MaxStudentLength = 60

// ErrNoSuchCourse means that an enrolment names a course that is not offered.
var ErrNoSuchCourse = errors.New("no such course")

// Course is one course on offer. Topics are what the recommender compares.
type Course struct {
	ID     string   `json:"id"`
	Title  string   `json:"title"`
	Topics []string `json:"topics"`
}

// Enrolment is a student's place in a course, with the points of the placement
// test (0 to 100) and the letter that they amount to.
type Enrolment struct {
	Student string `json:"student"`
	Course  string `json:"course"`
	Title   string `json:"title"`
	Points  int    `json:"points"`
	Grade   string `json:"grade"`
}

// Statistics describes the points of everyone enrolled in one course.
type Statistics struct {
	Course    string
	Students  int
	Mean      float64
	Deviation float64
}

// Student returns the name in its stored form: without spaces around it, and
// with single ones inside.
func Student(name string) (string, error) {
	name = strings.Join(strings.Fields(name), " ")
	switch n := utf8.RuneCountInString(name); {
	case !utf8.ValidString(name):
		return "", errors.New("the student's name is not valid UTF-8")
	case n == 0:
		return "", errors.New("the student's name is missing")
	case n > MaxStudentLength:
		return "", fmt.Errorf("the student's name has %d characters, more than %d", n, MaxStudentLength)
	}
	for _, r := range name {
		if !unicode.IsPrint(r) {
			return "", fmt.Errorf("the student's name contains %q", r)
		}
	}
	return name, nil
}

// Letter turns points into a grade.
func Letter(points int) string {
	switch {
	case points >= 90:
		return "A"
	case points >= 80:
		return "B"
	case points >= 70:
		return "C"
	case points >= 60:
		return "D"
	default:
		return "F"
	}
}

// PlacementPoints marks a student's placement test for a course: 55 to 100
// points, and always the same for the same student and course, so that an
// enrolment that arrives twice changes nothing.
func PlacementPoints(student, course string) int {
	h := fnv.New32a()
	h.Write([]byte(student))
	h.Write([]byte{0})
	h.Write([]byte(course))
	return 55 + int(h.Sum32()%46)
}
