package app

import (
	"bytes"
	"log"

	"github.com/caddyserver/caddy/v2"
)

// stdLog gives what is logged through the standard library to Caddy's default
// log, whichever is in force. Caddy leaves it with the one that the process began
// with, which has no redaction, and net/http logs bytes of a backend there.
type stdLog struct{}

// Write implements io.Writer; the log package calls it once for each entry.
func (stdLog) Write(entry []byte) (int, error) {
	caddy.Log().Named("std").Info(string(bytes.TrimRight(entry, "\n")))
	return len(entry), nil
}

func redirectStdLog() {
	log.SetFlags(0)
	log.SetPrefix("")
	log.SetOutput(stdLog{})
}
