package detect

import (
	"slices"
	"strings"
	"testing"
)

const (
	visa     = "4111111111111111"
	goodJWT  = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
	githubPT = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"
)

func all(t testing.TB) *Set {
	t.Helper()
	s, err := Compile(Names()...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// found lists what a set finds in a text, as detector:match.
func found(s *Set, text string) []string {
	var finds []string
	for from := 0; ; {
		m, ok := s.Next([]byte(text), from)
		if !ok {
			return finds
		}
		finds = append(finds, m.Detector+":"+text[m.Start:m.End])
		from = m.End
	}
}

type findTest struct {
	name, text string
	want       []string
}

func runFindTests(t *testing.T, tests []findTest) {
	s := all(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := found(s, test.text); !slices.Equal(got, test.want) {
				t.Errorf("in %q found %q, want %q", test.text, got, test.want)
			}
		})
	}
}

func TestCompile(t *testing.T) {
	for _, test := range []struct {
		name  string
		names []string
		want  []string // in the error; none for success
	}{
		{"every detector alone", []string{Card}, nil},
		{"all together", Names(), nil},
		{"nothing named", nil, []string{"no detector"}},
		{"all errors at once", []string{"ssn", Card, Card, "Email"}, []string{`"ssn"`, `"card" is named twice`, `"Email"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Compile(test.names...)
			if (err != nil) != (test.want != nil) {
				t.Fatalf("error %v, want %q", err, test.want)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not name %s", err, want)
				}
			}
		})
	}
}

func TestASetFindsOnlyItsOwnDetectors(t *testing.T) {
	text := "card " + visa + " mail alice@example.com token " + goodJWT + " key " + githubPT + " account " + goodIBAN + " " + privatePEM
	for _, name := range Names() {
		s, err := Compile(name)
		if err != nil {
			t.Fatal(err)
		}
		finds := found(s, text)
		if len(finds) != 1 || !strings.HasPrefix(finds[0], name+":") {
			t.Errorf("%s found %q", name, finds)
		}
	}
	if finds := found(all(t), text); len(finds) != 6 {
		t.Errorf("all together found %q", finds)
	}
	if finds := found(&Set{}, text); finds != nil {
		t.Errorf("the zero value found %q", finds)
	}
}

func TestDetectorsMeet(t *testing.T) {
	runFindTests(t, []findTest{
		{"an address around a card number is found whole", "to john-" + visa + "@example.com", []string{"email:john-" + visa + "@example.com"}},
		{"an address that is a card number", visa + "@example.com", []string{"email:" + visa + "@example.com"}},
		{"a card number whose end is in a long address", visa + "-" + strings.Repeat("x", 60) + "@example.com",
			[]string{"card:" + visa, "email:" + strings.Repeat("x", 60) + "@example.com"}},
		{"a key in front of an address", githubPT + "@example.com", []string{"cloud_keys:" + githubPT}},
		{"a card right behind a key's separator", "key=" + githubPT + "," + visa, []string{"cloud_keys:" + githubPT, "card:" + visa}},
		{"an address that is an account number", goodIBAN + "@example.com", []string{"email:" + goodIBAN + "@example.com"}},
		{"a card number inside a private key is part of it", "-----BEGIN PRIVATE KEY-----\n" + visa + "\n-----END PRIVATE KEY-----" + visa,
			[]string{"private_key:-----BEGIN PRIVATE KEY-----\n" + visa + "\n-----END PRIVATE KEY-----", "card:" + visa}},
		{"the password in a URL", "https://svc:hunter2@db.example.com/x", []string{"email:hunter2@db.example.com"}},
	})
}
