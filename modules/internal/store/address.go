package store

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/sallyport-gateway/sallyport/modules/internal/secret"
)

const (
	defaultPort     = "6379"
	highestDatabase = 1 << 14
)

// endpoint is one address. Credentials are as written, not resolved.
type endpoint struct {
	network, addr      string // as net.Dial has them
	tls                bool
	database           int
	username, password string
}

// parseEndpoint reads [scheme://][[user]:password@]host[:port][/database]. It is
// not net/url's reading, which does not take placeholders that contain slashes.
// Errors never contain s, which may have a password in it.
func parseEndpoint(s string) (endpoint, error) {
	e := endpoint{network: "tcp"}
	if scheme, rest, ok := strings.Cut(s, "://"); ok && !strings.ContainsAny(scheme, "@{:/") {
		switch scheme {
		case "redis", "valkey":
		case "rediss", "valkeys":
			e.tls = true
		case "unix":
			e.network = "unix"
		default:
			return endpoint{}, errors.New("the scheme is not redis, rediss or unix")
		}
		s = rest
	}
	if at := lastOutside(s, '@'); at >= 0 {
		if err := e.login(s[:at]); err != nil {
			return endpoint{}, err
		}
		s = s[at+1:]
	}
	if strings.ContainsAny(s, "{}@?#% \t\r\n\\") {
		return endpoint{}, errors.New("not [scheme://][[user]:password@]host[:port][/database]")
	}
	if e.network == "unix" {
		if !strings.HasPrefix(s, "/") {
			return endpoint{}, errors.New("unix:// needs an absolute path")
		}
		e.addr = s
		return e, nil
	}
	host, database, ok := strings.Cut(s, "/")
	if ok && database != "" {
		n, err := strconv.Atoi(database)
		if err != nil || n < 0 || n > highestDatabase {
			return endpoint{}, errors.New("the database is not a number")
		}
		e.database = n
	}
	var err error
	e.addr, err = hostPort(host)
	return e, err
}

// login reads [user]:password.
func (e *endpoint) login(s string) error {
	user, password := s, ""
	if colon := firstOutside(s, ':'); colon >= 0 {
		user, password = s[:colon], s[colon+1:]
	}
	if err := secret.Check(password); err != nil {
		return fmt.Errorf("its password: %w", err)
	}
	if user != "" {
		if err := checkUsername(user); err != nil {
			return err
		}
	}
	e.username, e.password = user, password
	return nil
}

// checkUsername takes a name as well as a placeholder: it is no secret.
func checkUsername(s string) error {
	if strings.ContainsAny(s, "{} \t\r\n:@/") && secret.Check(s) != nil {
		return errors.New("the username is not a name, {env.NAME} or {file.PATH}")
	}
	return nil
}

func hostPort(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"), defaultPort
		if strings.Contains(host, ":") && net.ParseIP(host) == nil {
			return "", errors.New("the host is not a name or an address")
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", errors.New("the port is not a number from 1 to 65535")
	}
	if host == "" || strings.ContainsAny(host, "[]/") {
		return "", errors.New("the host is missing")
	}
	return net.JoinHostPort(host, port), nil
}

// firstOutside returns where c first stands outside of braces, or -1.
func firstOutside(s string, c byte) int { return outside(s, c, true) }

// lastOutside returns where c last stands outside of braces, or -1.
func lastOutside(s string, c byte) int { return outside(s, c, false) }

func outside(s string, c byte, first bool) int {
	depth, found := 0, -1
	for i := range len(s) {
		switch {
		case s[i] == '{':
			depth++
		case s[i] == '}' && depth > 0:
			depth--
		case s[i] == c && depth == 0:
			if found = i; first {
				return found
			}
		}
	}
	return found
}
