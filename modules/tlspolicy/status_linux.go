package tlspolicy

import (
	"os"
	"syscall"
	"time"
)

// statusTime is when the file or what the file system says of it changed last.
// Unlike the modification time nobody can set it.
func statusTime(info os.FileInfo) time.Time {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return info.ModTime()
	}
	return time.Unix(stat.Ctim.Unix())
}
