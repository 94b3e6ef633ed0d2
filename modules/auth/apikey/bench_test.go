package apikey

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
)

// BenchmarkVerify stands beside BenchmarkRawHMAC, its floor: the target is three
// times that and one allocation at most.
func BenchmarkVerify(b *testing.B) {
	entries := []string{entryJSON("allow", `["192.0.2.0/24"]`, "expires", `"2027-01-01T00:00:00Z"`)}
	for i := range 10_000 {
		entries = append(entries, entryJSON("id", fmt.Sprintf(`"n%d"`, i), "hash", fmt.Sprintf(`"hmac-sha256:%064x"`, i)))
	}
	entries = append(entries, entryJSON("id", `"legacy"`, "form", `"whole"`, "hash", fmt.Sprintf("%q", hashOfWhole(testPepper, sha256.Sum256([]byte(foreign))))))
	s, _ := openFile(b, fileJSON(entries...))
	for _, bb := range []struct {
		name, key string
		want      error
	}{
		{"good", assemble(testID, testSecret), nil},
		{"wrong secret", assemble(testID, "1"+testSecret[1:]), ErrUnknown},
		{"unknown id", assemble("zzzzz", testSecret), ErrUnknown},
		{"made elsewhere", foreign, nil},
		{"made elsewhere and unknown", foreign + "0", ErrUnknown},
		{"malformed", assemble(testID, testSecret)[:minWhole-1], ErrMalformed},
		{"a megabyte", strings.Repeat("a", 1<<20), ErrMalformed},
	} {
		b.Run(strings.ReplaceAll(bb.name, " ", "_"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Verify(bb.key, client, noon); err != bb.want {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerifyParallel(b *testing.B) {
	s, _ := openFile(b, fileJSON(entryJSON()))
	key := assemble(testID, testSecret)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Verify(key, client, noon); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkRawHMAC(b *testing.B) {
	mac := hmac.New(sha256.New, testPepper)
	secret, sum := []byte(testSecret), make([]byte, 0, sha256.Size)
	b.ReportAllocs()
	for b.Loop() {
		mac.Reset()
		mac.Write(secret)
		sum = mac.Sum(sum[:0])
	}
}

func BenchmarkLoad(b *testing.B) {
	var entries []string
	for i := range 10_000 {
		entries = append(entries, entryJSON("id", fmt.Sprintf(`"n%d"`, i), "hash", fmt.Sprintf(`"hmac-sha256:%064x"`, i)))
	}
	data := []byte(fileJSON(entries...))
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseTable(data); err != nil {
			b.Fatal(err)
		}
	}
}
