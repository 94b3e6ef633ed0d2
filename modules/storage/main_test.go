package storage

import (
	"os"
	"testing"
)

// TestMain lets a test start this program again as a gateway of its own.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(play(role))
	}
	os.Exit(m.Run())
}
