//go:build race

package integration

// raceEnabled says whether the gateway is built with the race detector, as the
// tests are.
const raceEnabled = true
