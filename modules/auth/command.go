package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/sallyport-gateway/sallyport/modules/internal/command"
	"github.com/sallyport-gateway/sallyport/modules/internal/secret"
)

func init() {
	command.Register(newKeyCommand)
	command.Register(newTokenCommand)
}

// standardInput as the name of a file means that its content is on stdin.
const standardInput = "-"

// resolveSecret reads a secret as the configuration does, so that both sides of
// a hash see the same bytes: from a file, from stdin without its last line
// break, or from a variable of the environment. Never from an argument, which
// other users of the machine can read.
func resolveSecret(cmd *cobra.Command, what, file, env string) (string, error) {
	switch {
	case file == "" && env == "":
		return "", fmt.Errorf("%s is needed: --%s-file or --%s-env", what, what, what)
	case file != "" && env != "":
		return "", fmt.Errorf("--%s-file and --%s-env exclude each other", what, what)
	case file == standardInput:
		content, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), 1<<20))
		if err != nil {
			return "", fmt.Errorf("%s: %w", what, err)
		}
		value := strings.TrimRight(string(content), "\r\n")
		if value == "" {
			return "", fmt.Errorf("%s: stdin is empty", what)
		}
		return value, nil
	}
	name := "{env." + env + "}"
	if file != "" {
		name = "{file." + file + "}"
	}
	value, err := secret.Resolve(name)
	if err != nil {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	return value, nil
}

// parseMoment reads a moment: RFC 3339, or a duration from now such as 90d.
func parseMoment(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.UTC(), nil
	}
	d, err := caddy.ParseDuration(s)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is neither a duration such as 90d nor a moment such as 2027-01-01T00:00:00Z", s)
	}
	if d <= 0 {
		return time.Time{}, fmt.Errorf("%q is not in the future", s)
	}
	return now.Add(d).UTC().Truncate(time.Second), nil
}

// listed refuses a comma in the values of a flag that is repeated for more.
func listed(flag string, values []string) error {
	var errs []error
	for _, v := range values {
		if strings.Contains(v, ",") {
			errs = append(errs, fmt.Errorf("--%s %q: give --%s once for each value", flag, v, flag))
		}
	}
	return errors.Join(errs...)
}

// writeJSON writes v for a program to read.
func writeJSON(w io.Writer, v any) error {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := buf.WriteTo(w)
	return err
}
