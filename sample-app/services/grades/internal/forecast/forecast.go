// Package forecast estimates how many students will pass each course, by
// playing many terms with random classes. This is the one thing in the service
// that costs CPU, and so what makes it scale.
package forecast

import (
	"context"
	"math/rand/v2"

	"example.com/academy/grades/internal/academy"
)

const (
	classSize  = 30
	passPoints = 60

	// A course that nobody, or almost nobody, has taken is judged by these.
	priorStudents  = 10
	priorMean      = 72.0
	priorDeviation = 12.0
)

// Course is the forecast for one course.
type Course struct {
	Course   string  `json:"course"`
	Students int     `json:"students"`
	Mean     float64 `json:"mean"`
	PassRate float64 `json:"passRate"`
}

// Courses plays the given number of terms for each course. The cost is
// proportional to terms × courses, whatever the number of students. It returns
// early with the context's error when the caller has gone.
func Courses(ctx context.Context, statistics []academy.Statistics, terms int) ([]Course, error) {
	result := make([]Course, 0, len(statistics))
	for i, s := range statistics {
		mean, deviation := blend(s)
		random := rand.New(rand.NewPCG(uint64(terms), uint64(i)))
		passed := 0
		for range terms {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			for range classSize {
				if mean+deviation*random.NormFloat64() >= passPoints {
					passed++
				}
			}
		}
		result = append(result, Course{
			Course:   s.Course,
			Students: s.Students,
			Mean:     s.Mean,
			PassRate: float64(passed) / float64(terms*classSize),
		})
	}
	return result, nil
}

// blend mixes what is known about a course with the prior, by weight of students.
func blend(s academy.Statistics) (mean, deviation float64) {
	n := float64(s.Students)
	mean = (priorStudents*priorMean + n*s.Mean) / (priorStudents + n)
	deviation = (priorStudents*priorDeviation + n*s.Deviation) / (priorStudents + n)
	return mean, deviation
}
