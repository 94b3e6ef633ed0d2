//go:build !race

package ratelimiter

// floodKeys is how many random keys the flood test sends.
const floodKeys = 10_000_000
