package storage

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// rogue is a server that logs everybody in and says to everything else what it is
// told to.
func rogue(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	t.Cleanup(func() { l.Close(); conns.Wait() })
	conns.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(t.Context(), func() { conn.Close() })()
				for r := bufio.NewReader(conn); ; {
					word, err := command(r)
					if err != nil {
						return
					}
					switch word {
					case "HELLO":
						io.WriteString(conn, "%2\r\n+server\r\n+redis\r\n+proto\r\n:3\r\n")
					case "PING":
						io.WriteString(conn, "+PONG\r\n")
					case "CLIENT":
						io.WriteString(conn, "+OK\r\n")
					default:
						io.WriteString(conn, answer)
					}
				}
			})
		}
	})
	return l.Addr().String()
}

// command reads a command and returns its first word.
func command(r *bufio.Reader) (string, error) {
	number := func() (int, error) {
		line, err := r.ReadString('\n')
		if err != nil {
			return 0, err
		}
		return strconv.Atoi(strings.TrimSpace(line[1:]))
	}
	n, err := number()
	if err != nil {
		return "", err
	}
	var first string
	for i := range n {
		length, err := number()
		if err != nil {
			return "", err
		}
		b := make([]byte, length+2)
		if _, err := io.ReadFull(r, b); err != nil {
			return "", err
		}
		if i == 0 {
			first = strings.ToUpper(string(b[:length]))
		}
	}
	return first, nil
}

func TestSenselessAnswersAreErrors(t *testing.T) {
	setKeys(t)
	long := strings.Repeat("x", 1<<20)
	for name, answer := range map[string]string{
		"a number":               ":7\r\n",
		"a negative number":      ":-9223372036854775808\r\n",
		"null":                   "_\r\n",
		"a word":                 "+PONG\r\n",
		"an empty string":        "$0\r\n\r\n",
		"a lease beyond measure": "$20\r\n-9223372036854775808\r\n",
		"a lease that overflows": "$15\r\n-10000000000000\r\n",
		"a long string":          "$" + strconv.Itoa(len(long)) + "\r\n" + long + "\r\n",
		"a long error":           "!" + strconv.Itoa(len(long)) + "\r\n" + long + "\r\n",
		"an empty array":         "*0\r\n",
		"an array of one":        "*1\r\n+done\r\n",
		"an array of nothing":    "*2\r\n_\r\n:1\r\n",
		"an array of arrays":     "*2\r\n*1\r\n+done\r\n*0\r\n",
		"a lock nobody has":      "*2\r\n+lost\r\n$" + strconv.Itoa(len(long)) + "\r\n" + long + "\r\n",
		"a kind nobody knows":    "*2\r\n+socket\r\n$" + strconv.Itoa(len(long)) + "\r\n" + long + "\r\n",
		"a map":                  "%1\r\n+a\r\n+b\r\n",
		"a set":                  "~1\r\n+a\r\n",
		"true":                   "#t\r\n",
		"a float":                ",1.5\r\n",
		"a verbatim string":      "=8\r\ntxt:none\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			s := open(t, rogue(t, answer), `"wait":"100ms","timeout":"90ms","lock_lease":"1s"`)
			errs := map[string]error{
				"store":  s.Store(t.Context(), "a", []byte("v")),
				"delete": s.Delete(t.Context(), "a"),
				"lock":   tryBriefly(s),
			}
			_, errs["load"] = s.Load(t.Context(), "a")
			_, errs["stat"] = s.Stat(t.Context(), "a")
			_, errs["list"] = s.List(t.Context(), "a", true)
			for operation, err := range errs {
				if err == nil || errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s: %v", operation, err)
				} else if len(err.Error()) > 1000 {
					t.Errorf("%s: an error of %d bytes", operation, len(err.Error()))
				}
			}
			if s.Exists(t.Context(), "a") {
				t.Error("it exists")
			}
		})
	}
}

// tryBriefly locks, and does not wait for another owner.
func tryBriefly(s *Storage) error {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	return s.Lock(ctx, "l")
}
