package config

import "strings"

// nearest gives the candidate that text was probably meant to be, or "" if none is near enough: one typing mistake for each
// three characters, and at least one.
func nearest(text string, candidates []string) string {
	best, distance := "", max(1, len([]rune(text))/3)+1
	for _, c := range candidates {
		if d := typos(strings.ToLower(text), strings.ToLower(c)); d < distance && c != text {
			best, distance = c, d
		}
	}
	return best
}

// typos counts the single mistakes (a letter too much, missing, wrong, or two swapped) that lead from a to b.
func typos(a, b string) int {
	x, y := []rune(a), []rune(b)
	if len(x) > 100 || len(y) > 100 {
		return len(x) + len(y)
	}
	var before, above []int
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(x); i++ {
		before, above, row = above, row, make([]int, len(y)+1)
		row[0] = i
		for j := 1; j <= len(y); j++ {
			wrong := 1
			if x[i-1] == y[j-1] {
				wrong = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+wrong)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(y)]
}
