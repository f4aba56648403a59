package parity

import (
	"encoding/json"
	"fmt"
	"reflect"

	"k8s.io/apimachinery/pkg/api/resource"
)

// normal is a value without what means nothing: nulls, and zero values of fields whose Go type cannot tell them from none. The
// value itself is not changed.
func normal(value any, s shape) any {
	switch v := value.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for key, value := range v {
			of := s.of(key)
			if value = normal(value, of); value != nil && !(of.hidesZero() && isZero(value)) {
				m[key] = value
			}
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = normal(v[i], s.item())
		}
		return list
	}
	return value
}

// isZero says that a normal value is the zero value of its type.
func isZero(value any) bool {
	switch v := value.(type) {
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	case string:
		return v == ""
	case bool:
		return !v
	case json.Number:
		f, err := v.Float64()
		return err == nil && f == 0
	}
	return value == nil
}

// equal says that two normal values mean the same.
func equal(a, b any, s shape) bool {
	x, xIsMap := a.(map[string]any)
	y, yIsMap := b.(map[string]any)
	if xIsMap && yIsMap {
		if len(x) != len(y) {
			return false
		}
		for key, value := range x {
			other, ok := y[key]
			if !ok || !equal(value, other, s.of(key)) {
				return false
			}
		}
		return true
	}
	l, lIsList := a.([]any)
	m, mIsList := b.([]any)
	if lIsList && mIsList {
		return equalLists(l, m, s)
	}
	if xIsMap || yIsMap || lIsList || mIsList {
		return false
	}
	return equalScalars(a, b, s.direct())
}

func equalLists(l, m []any, s shape) bool {
	if len(l) != len(m) {
		return false
	}
	by := keysOf(l, m, s)
	if by == nil {
		for i := range l {
			if !equal(l[i], m[i], s.item()) {
				return false
			}
		}
		return true
	}
	others := by.index(m)
	for _, item := range l {
		i, ok := others[by.of(item)]
		if !ok || !equal(item, m[i], s.item()) {
			return false
		}
	}
	return !by.ordered || sameOrder(by.names(l), by.names(m))
}

func equalScalars(a, b any, t reflect.Type) bool {
	if a == b {
		return true
	}
	switch t {
	case quantityType:
		x, xOK := amount(a)
		y, yOK := amount(b)
		return xOK && yOK && x.Cmp(y) == 0
	case intOrStringType:
		return a != nil && b != nil && fmt.Sprint(a) == fmt.Sprint(b)
	}
	x, xOK := a.(json.Number)
	y, yOK := b.(json.Number)
	if !xOK || !yOK {
		return false
	}
	// Whole numbers of any size are told apart by their text.
	if isWhole(x) && isWhole(y) {
		return x == y
	}
	f, err1 := x.Float64()
	g, err2 := y.Float64()
	return err1 == nil && err2 == nil && f == g
}

func isWhole(n json.Number) bool {
	for i, c := range n {
		if (c < '0' || c > '9') && !(i == 0 && c == '-') {
			return false
		}
	}
	return true
}

// amount reads a quantity, which YAML may have made a number.
func amount(value any) (resource.Quantity, bool) {
	text := ""
	switch v := value.(type) {
	case string:
		text = v
	case json.Number:
		text = v.String()
	}
	const longest = 40 // no honest quantity is longer, and a dishonest exponent takes forever
	if text == "" || len(text) > longest {
		return resource.Quantity{}, false
	}
	q, err := resource.ParseQuantity(text)
	return q, err == nil
}
