package detect

import (
	"bytes"
	"strings"
	"testing"
)

// corpus holds what cuts may hurt: every detector, its near misses, and the
// neighbours that decide.
var corpus = []string{
	"",
	"no match here, only words and 2024-01-02T10:11:12Z",
	"card 4111 1111 1111 1111 1225 and " + visa + ", alice@example.com " + goodJWT + " " + githubPT + ".",
	"4111111111111111.000 4111111111111111.25 14111111111111111 4111-1111-1111-1111-1111",
	"12 4111 1111 1111 1111 1111 6205 5000 0000 0000 004 3782-822463-10005",
	"0e0e0e0e-1111-4111-8111-676770000005,676770000005 5018000000015,36227206271667;378282246310005",
	"4002 4242 4242 4242 0000 1111 1111 " + visa + "-" + strings.Repeat("x", 60) + "@example.com a@b." + strings.Repeat("é", 130),
	"0e0e0e0e-1111-4111-8111-676770000005 q=%204111111111111111",
	"john-" + visa + "@example.com jörg@müller.de,a@b.co.c1 user@пример.рф a@example.com，谢谢 icon@2x.png",
	strings.Repeat("x", 100) + "@example.com." + strings.Repeat("y", 300) + ".com",
	"é" + strings.Repeat("é", 40) + "@example.com a@" + strings.Repeat("é", 130) + ".рф",
	goodJWT + strings.Repeat("A", 500) + "@example.com Bearer " + jwtOf(`{ "alg" : "none" , "jwk":{"a":["b"]} }`),
	jwtOf(`{"alg":"ES256","jwk":{"x":"`+strings.Repeat("A", 2000)+`"}}`) + " " + jwtOf(`{"x":"`+strings.Repeat("A", 2000)+`"}`),
	"-eyJ-eyJ-eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJ.",
	"aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY abc8Q~" + strings.Repeat("aB3_", 8) + " AKIAIOSFODNN7EXAMPLE",
	`\u003dghp_16C7e42F292c6912E7710c838347Ae178B4a\nsk_live_abcdefghijkl\tAKIAIOSFODNN7EXAMPLEx`,
	"SG." + strings.Repeat("a", 66) + " AIza" + strings.Repeat("b", 35) + "@x.com key-0123456789abcdef0123456789abcdef",
	"sp_k7f3a_" + strings.Repeat("0a", 16) + "_0123abc,sp_" + strings.Repeat("a", 40) + " sp_k_" + strings.Repeat("0a", 16) + "_0123abcd",
	"to DE89 3704 0044 0532 0130 00, " + goodIBAN + " GB82WEST12345698765432@example.com DE88370400440532013000 NO93 8601 1117 947",
	"x " + privatePEM + " y -----BEGIN PRIVATE KEY----- " + strings.Repeat("AAAA\n", 900) + "------END PRIVATE -----END EC KEY------ z",
	"-----BEGIN PGP PRIVATE KEY BLOCK-----\r\nVersion: x (y)\r\n\r\n" + visa + "=\r\n-----END PGP PRIVATE KEY BLOCK-----\r\n" + visa,
	`-----BEGIN PRIVATE KEY-----\nMII\n-----END-----END PRIVATE" -----BEGIN PUBLIC KEY-----\n` + visa + `\n-----BEGIN PRIVATE KEY-----é` + visa,
	"git@github.com:a/b.git a@b@c.de@f.gh @@@a@@b.c@ .@a.de -@a.de",
}

// scanParts searches a text in parts as a stream would, and returns its matches
// in the form of the text with each one replaced.
func scanParts(t testing.TB, s *Set, text []byte, cuts func(rest int) int) string {
	var out, buf []byte
	var open Match
	from := 0 // the end of what was dealt with in buf
	for len(text) > 0 || from < len(buf) {
		n := min(max(cuts(len(text)), 0), len(text))
		part, final := text[:n], n == len(text)
		text = text[n:]
		for part != nil {
			if open.Detector != "" {
				rest := open.Rest(part)
				buf = append(buf, part[:rest]...)
				from, part = len(buf), part[rest:]
				if len(part) == 0 && !final {
					break
				}
				open = Match{}
			}
			buf, part = append(buf, part...), nil
			for {
				m, hold, status := s.Scan(buf, from, final)
				if status == None {
					if hold < from || hold > len(buf) || len(buf)-hold > MaxHold {
						t.Fatalf("hold %d of %d, from %d", hold, len(buf), from)
					}
					out = append(out, buf[from:hold]...)
					from = hold
					break
				}
				if m.Start < from || m.End <= m.Start || m.End > len(buf) {
					t.Fatalf("match %+v of %d, from %d", m, len(buf), from)
				}
				out = append(append(append(out, buf[from:m.Start]...), '<'), m.Detector...)
				out = append(out, '>')
				from = m.End
				if status == Open {
					open = m
					break
				}
			}
			// Keep no more than the contract asks for.
			if from > Lookbehind {
				buf = append([]byte(nil), buf[from-Lookbehind:]...)
				from = Lookbehind
			}
		}
		if final {
			break
		}
	}
	return string(out)
}

func scanWhole(t testing.TB, s *Set, text string) string {
	return scanParts(t, s, []byte(text), func(rest int) int { return rest })
}

func TestCutsDoNotChangeWhatIsFound(t *testing.T) {
	s := all(t)
	for _, text := range corpus {
		want := scanWhole(t, s, text)
		for cut := range len(text) {
			first := true
			got := scanParts(t, s, []byte(text), func(rest int) int {
				if first {
					first = false
					return cut
				}
				return rest
			})
			if got != want {
				t.Fatalf("cut at %d of %q:\n got %q\nwant %q", cut, text, got, want)
			}
		}
		for size := 1; size <= 9; size++ {
			if got := scanParts(t, s, []byte(text), func(int) int { return size }); got != want {
				t.Fatalf("in parts of %d of %q:\n got %q\nwant %q", size, text, got, want)
			}
		}
	}
}

// Where a text begins in a buffer decides how the prefilter's steps fall on it.
func TestEveryAlignmentFindsTheSame(t *testing.T) {
	s := all(t)
	for _, text := range corpus {
		want := scanWhole(t, s, text)
		for pad := range 16 {
			front := strings.Repeat("\n", pad)
			if got := scanWhole(t, s, front+text+"\n"); got != front+want+"\n" {
				t.Fatalf("behind %d bytes, in %q:\n got %q\nwant %q", pad, text, got, want)
			}
		}
	}
}

func TestCandidateStandsInFrontOfEveryMatchsEnd(t *testing.T) {
	s := all(t)
	for _, text := range corpus {
		b := []byte(text)
		for from := range b {
			if m, ok := s.Next(b[from:], 0); ok {
				if p := s.Candidate(b, from); p >= from+m.End {
					t.Fatalf("from %d of %q: candidate %d, match until %d", from, text, p, from+m.End)
				}
			}
		}
	}
}

// hostile texts are made to have candidates everywhere.
var hostile = map[string]string{
	"digits":             "1234567890",
	"groups":             "1234 ",
	"card groups":        "4111 1111 ",
	"at signs":           "a@",
	"addresses":          "a@b.",
	"long local parts":   strings.Repeat("a", 63) + "@",
	"JWT beginnings":     "-eyJ",
	"JWT beginnings 5":   "-eyJx",
	"JWT names":          "-" + jwtOf(`{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa`)[:60],
	"token marks":        "ghp_",
	"bounded marks":      "AKIA",
	"dotted marks":       "SG.",
	"Azure":              "aaa1Q~",
	"own keys":           "sp_a_",
	"AWS names":          "ecret_access_key",
	"hyphens, cards":     visa + "-",
	"the rarest pairs":   "yJ",
	"pairs of digits":    "1-2-",
	"countries":          "DE89",
	"account numbers":    "DE89 3704 0044 0532 0130 0x ",
	"private keys":       "-----BEGIN ",
	"empty private keys": "-----BEGIN PRIVATE KEY-----\"",
	"marks in each body": "sk-ant-",
}

func TestWorkIsLinear(t *testing.T) {
	for name, unit := range hostile {
		t.Run(name, func(t *testing.T) {
			s := all(t)
			read := 0
			s.work = func(n int) { read += n }
			text := []byte(strings.Repeat(unit, 200_000/len(unit)))
			for from := 0; from < len(text); {
				m, ok := s.Next(text, from)
				if !ok {
					break
				}
				from = m.End
			}
			if read > 64*len(text) {
				t.Errorf("candidates read %d bytes for a text of %d", read, len(text))
			}
		})
	}
}

func FuzzScan(f *testing.F) {
	for _, text := range corpus {
		f.Add([]byte(text), []byte{1, 2, 3})
	}
	for _, unit := range hostile {
		f.Add([]byte(strings.Repeat(unit, 40)), []byte{7})
	}
	s := all(f)
	read := 0
	s.work = func(n int) { read += n }
	f.Fuzz(func(t *testing.T, text, cuts []byte) {
		read = 0
		want := scanWhole(t, s, string(text))
		if read > 256*(len(text)+16) {
			t.Errorf("read %d bytes for a text of %d", read, len(text))
		}
		i := 0
		got := scanParts(t, s, bytes.Clone(text), func(int) int {
			if len(cuts) == 0 {
				return 1
			}
			i++
			return int(cuts[i%len(cuts)])%40 + 1
		})
		if got != want {
			t.Errorf("cut up:\n got %q\nwant %q", got, want)
		}
	})
}
