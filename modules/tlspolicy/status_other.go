//go:build !linux

package tlspolicy

import (
	"os"
	"time"
)

// statusTime is the modification time where the status's is not to be had in one
// way.
func statusTime(info os.FileInfo) time.Time { return info.ModTime() }
