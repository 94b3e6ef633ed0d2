// Package secret reads secrets that a configuration names but must not contain:
// {env.NAME} and {file.PATH}, resolved when a module is provisioned. So they
// stand neither in a Caddyfile nor in what /config shows.
package secret

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// Resolve returns the secret that s names. Only one placeholder, and nothing
// around it, is accepted: {env.NAME} or {file.PATH}. A literal value is refused,
// because it would be readable in the configuration. The trailing line break of
// a file is removed. An unset variable, an unreadable file and an empty value
// are errors; errors never contain the value.
func Resolve(s string) (string, error) {
	if err := Check(s); err != nil {
		return "", err
	}
	name, _ := placeholder(s)
	if path, ok := strings.CutPrefix(name, "file."); ok {
		content, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		return nonEmpty(strings.TrimRight(string(content), "\r\n"), s)
	}
	value, ok := os.LookupEnv(strings.TrimPrefix(name, "env."))
	if !ok {
		return "", fmt.Errorf("%s is not set", s)
	}
	return nonEmpty(value, s)
}

// Check refuses what Resolve would not even try to read, for use while a
// configuration is parsed. Nothing is read, and the error does not contain s.
func Check(s string) error {
	if strings.HasPrefix(s, "{http.request.uri.path.file.") {
		// What Caddy's shorthands make of {file.name} in a Caddyfile.
		return errors.New("{file.NAME} without a slash or dot means a part of the request's path in a Caddyfile: write {file../NAME}")
	}
	if _, ok := placeholder(s); !ok {
		return errors.New("write a secret as {env.NAME} or {file.PATH}, not as its value")
	}
	return nil
}

func placeholder(s string) (string, bool) {
	inner, opened := strings.CutPrefix(s, "{")
	inner, closed := strings.CutSuffix(inner, "}")
	if !opened || !closed || strings.ContainsAny(inner, "{}") {
		return "", false
	}
	return inner, strings.HasPrefix(inner, "env.") || strings.HasPrefix(inner, "file.")
}

func nonEmpty(value, name string) (string, error) {
	if value == "" {
		return "", fmt.Errorf("%s is empty", name)
	}
	return value, nil
}
