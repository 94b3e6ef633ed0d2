package read

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// options is what the tests read a block into.
type options struct {
	name  string
	words []string
	n     int
	wait  caddy.Duration
	on    bool
	mode  string
	inner string
}

func (o *options) unmarshal(text string) error {
	d := caddyfile.NewTestDispenser(text)
	d.Next()
	return Block(d, []string{"words"}, func(opt *caddyfile.Dispenser) error {
		switch opt.Val() {
		case "name":
			return String(opt, &o.name)
		case "words":
			return Words(opt, &o.words, "a", "b")
		case "n":
			return Int(opt, 1, 9, &o.n)
		case "wait":
			return Duration(opt, time.Second, 48*time.Hour, &o.wait)
		case "on":
			return Flag(opt, &o.on)
		case "mode":
			return Word(opt, &o.mode, "x", "y")
		case "block":
			return Block(opt, nil, func(inner *caddyfile.Dispenser) error {
				if inner.Val() != "inner" {
					return Unknown(inner, "inner")
				}
				return String(inner, &o.inner)
			})
		case "fails":
			return errors.New("fails")
		}
		return Unknown(opt, "name", "words")
	})
}

func TestBlockReadsOptions(t *testing.T) {
	var o options
	err := o.unmarshal(`directive {
		name one
		words a
		words b a
		n 9
		wait 2d
		on
		mode y
		block {
			inner two
		}
	}`)
	if err != nil {
		t.Fatal(err)
	}
	if o.name != "one" || strings.Join(o.words, "") != "aba" || o.n != 9 || time.Duration(o.wait) != 48*time.Hour ||
		!o.on || o.mode != "y" || o.inner != "two" {
		t.Errorf("got %+v", o)
	}
}

func TestBlockReportsEveryErrorWithItsLine(t *testing.T) {
	var o options
	err := o.unmarshal(`directive extra {
		name
		name one
		words c d
		n 10
		n
		wait 1ms
		on yes
		mode z
		unknown {
			name two
		}
		fails
		name one two
		block arg {
			other
		}
		mode x {
			y
		}
	}`)
	if err == nil {
		t.Fatal("nothing is refused")
	}
	for _, want := range []string{
		`unexpected argument "extra", at Testfile:1`,
		"name needs a value, at Testfile:2",
		"name is given twice, at Testfile:3",
		`words "c": not one of a, b, at Testfile:4`,
		`words "d": not one of a, b, at Testfile:4`,
		`n "10": not between 1 and 9, at Testfile:5`,
		"n is given twice, at Testfile:6",
		`wait "1ms": not between 1s and 48h0m0s, at Testfile:7`,
		`unexpected "yes" after on, at Testfile:8`,
		`mode "z": not one of x, y, at Testfile:9`,
		`unknown option "unknown" (known: name, words), at Testfile:10`,
		"fails",
		`unexpected argument "arg", at Testfile:15`,
		`unknown option "other" (known: inner), at Testfile:16`,
		"mode is given twice, at Testfile:18",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q", want)
		}
	}
	if t.Failed() {
		t.Log(err)
	}
}

func TestABlockThatNobodyReadIsRefused(t *testing.T) {
	var o options
	if err := o.unmarshal("directive {\n\tname one {\n\t\tx\n\t}\n}"); err == nil || !strings.Contains(err.Error(), "Testfile:2") {
		t.Errorf("got %v", err)
	}
}

func TestSizes(t *testing.T) {
	size := func(text string) (n int64, err error) {
		d := caddyfile.NewTestDispenser("max_body " + text)
		d.Next()
		return n, Size(d, 64<<20, &n)
	}
	for text, want := range map[string]int64{
		"1": 1, "512": 512, "7B": 7, "64KiB": 64 << 10, "1MB": 1_000_000, "64MiB": 64 << 20, "2KB": 2000,
	} {
		if n, err := size(text); n != want || err != nil {
			t.Errorf("%s: %d, %v, want %d", text, n, err, want)
		}
	}
	for text, want := range map[string]string{
		"0": "not between 1", "65MiB": "not between 1", "1GiB": "not between 1", "-1": "not between 1", "9223372036854775807KiB": "not a size",
		"1.5MiB": "not a size", "MiB": "not a size", "1TiB": "not a size", "1mib": "not a size", "": "needs a value",
	} {
		if n, err := size(text); n != 0 || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %d, %v, want %q", text, n, err, want)
		}
	}
}
