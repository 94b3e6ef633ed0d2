package detect

import (
	"strings"
	"testing"
)

// prose is free text without a match: a log of ordinary sentences and numbers.
var prose = []byte(strings.Repeat("The order 48213 was shipped on 2024-03-02 at 10:41:22 by the usual carrier; "+
	"they say that 3 of 12 parcels need a new label before Friday. See https://www.example.org/api/v1/data for more, "+
	"and do not forget the keys at the front desk: John has one, July too.\n", 8000))[:1<<20]

func BenchmarkNextWithoutMatch(b *testing.B) {
	for _, names := range append([][]string{Names()}, []string{Card}, []string{Email}, []string{JWT}, []string{CloudKeys}) {
		s, err := Compile(names...)
		if err != nil {
			b.Fatal(err)
		}
		name := "all"
		if len(names) == 1 {
			name = names[0]
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(prose)))
			b.ReportAllocs()
			for b.Loop() {
				if m, ok := s.Next(prose, 0); ok {
					b.Fatalf("found %s", prose[m.Start:m.End])
				}
			}
		})
	}
	b.Run("floor: copy", func(b *testing.B) {
		dst := make([]byte, len(prose))
		b.SetBytes(int64(len(prose)))
		for b.Loop() {
			copy(dst, prose)
		}
	})
}

func BenchmarkHostileText(b *testing.B) {
	s := all(b)
	for name, unit := range hostile {
		text := []byte(strings.Repeat(unit, 1<<20/len(unit)))
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				for from := 0; from < len(text); {
					m, ok := s.Next(text, from)
					if !ok {
						break
					}
					from = m.End
				}
			}
		})
	}
}
