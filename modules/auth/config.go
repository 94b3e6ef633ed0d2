package auth

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// maxName is the longest name of a header, cookie or parameter.
const maxName = 64

// check returns everything that is wrong with the configuration as a whole.
func (h *Handler) check() []error {
	errs := append(h.checkAlternatives(), h.Failures.check()...)
	for i, name := range h.IdentityHeaders {
		if err := checkIdentityHeader(name); err != nil {
			errs = append(errs, fmt.Errorf("identity_headers[%d]: %q %w", i, name, err))
		}
	}
	return errs
}

// withoutNil drops what is no error.
func withoutNil(errs []error) []error {
	return slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}

func checkNotEmpty(s string) error {
	if s == "" {
		return errors.New("is empty")
	}
	return nil
}

func checkSourceHeader(name string) error {
	if err := checkTokenName(name); err != nil {
		return err
	}
	if strings.ContainsAny(name, "_.") {
		return errors.New("headers with '_' or '.' in their name are dropped by Caddy")
	}
	switch http.CanonicalHeaderKey(name) {
	case "Cookie", "Host", "Connection", "Content-Length", "Content-Type", "Transfer-Encoding", "Proxy-Authorization":
		return fmt.Errorf("%s does not hold a credential for us", name)
	}
	return nil
}

// checkTokenName accepts names that need no encoding where they occur.
func checkTokenName(name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("a name has 1 to %d characters", maxName)
	}
	for i := range len(name) {
		c := name[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.') {
			return fmt.Errorf("%q may not be in a name", c)
		}
	}
	return nil
}

// checkIdentityHeader accepts a name, or the beginning of one with '*' behind it.
func checkIdentityHeader(given string) error {
	name, prefix := strings.CutSuffix(given, "*")
	if prefix && len(name) < bucketLetters {
		return errors.New("would remove headers that are no identity")
	}
	// With these taken away, a bad credential would look like none.
	pattern := newHeaderPattern(given)
	for _, credential := range []string{"Authorization", "Cookie"} {
		if pattern.matches(credential) {
			return errors.New("would remove " + credential + ", where credentials are")
		}
	}
	return checkTokenName(name)
}
