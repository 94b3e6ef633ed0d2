//go:build race

package ratelimiter

// floodKeys is smaller where each step is ten times slower.
const floodKeys = 1_000_000
