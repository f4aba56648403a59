package forecast

import (
	"context"
	"errors"
	"testing"

	"example.com/academy/grades/internal/academy"
)

func TestBetterCoursesPassMore(t *testing.T) {
	courses, err := Courses(t.Context(), []academy.Statistics{
		{Course: "weak", Students: 200, Mean: 50, Deviation: 8},
		{Course: "unknown"},
		{Course: "strong", Students: 200, Mean: 90, Deviation: 5},
	}, 500)
	if err != nil {
		t.Fatal(err)
	}
	weak, unknown, strong := courses[0].PassRate, courses[1].PassRate, courses[2].PassRate
	if !(weak < 0.3 && weak < unknown && unknown < strong && strong > 0.95) {
		t.Errorf("pass rates are %.2f, %.2f, %.2f; want them to rise with the mean", weak, unknown, strong)
	}
}

func TestForecastIsRepeatable(t *testing.T) {
	statistics := []academy.Statistics{{Course: "c", Students: 3, Mean: 61, Deviation: 9}}
	first, err := Courses(t.Context(), statistics, 50)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Courses(t.Context(), statistics, 50)
	if err != nil {
		t.Fatal(err)
	}
	if first[0] != second[0] {
		t.Errorf("two runs give %+v and %+v", first[0], second[0])
	}
}

func TestForecastStopsWhenTheCallerHasGone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Courses(ctx, []academy.Statistics{{Course: "c"}}, 1_000_000); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want context.Canceled", err)
	}
}

func BenchmarkTenCourses(b *testing.B) {
	statistics := make([]academy.Statistics, 10)
	for b.Loop() {
		if _, err := Courses(b.Context(), statistics, 1000); err != nil {
			b.Fatal(err)
		}
	}
}
