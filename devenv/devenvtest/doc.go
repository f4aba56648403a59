// Package devenvtest holds what devenv's tests share: for each interface between its parts a contract suite, which runs against
// every implementation, and a fake in memory that keeps the contract as well, for the tests of what is above.
package devenvtest
