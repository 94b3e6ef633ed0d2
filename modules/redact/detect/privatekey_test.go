package detect

import (
	"bytes"
	"strings"
	"testing"
)

const privatePEM = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIGZha2Uga2V5LCBub3QgcmVhbCwgMzIgYnl0ZXM\n-----END EC PRIVATE KEY-----"

func TestPrivateKey(t *testing.T) {
	one := func(s string) []string { return []string{"private_key:" + s} }
	escaped := strings.ReplaceAll(privatePEM, "\n", `\n`)
	runFindTests(t, []findTest{
		{"as it is", "key:\n" + privatePEM + "\ntail", one(privatePEM)},
		{"with line breaks in escaped form", `{\"key\":\"` + escaped + `\n\"}`, one(escaped)},
		{"with carriage returns", strings.ReplaceAll(privatePEM, "\n", "\r\n"), one(strings.ReplaceAll(privatePEM, "\n", "\r\n"))},
		{"on one line", strings.ReplaceAll(privatePEM, "\n", " ") + " x", one(strings.ReplaceAll(privatePEM, "\n", " "))},
		{"without a kind", "-----BEGIN PRIVATE KEY-----\nMII=\n-----END PRIVATE KEY-----\n", one("-----BEGIN PRIVATE KEY-----\nMII=\n-----END PRIVATE KEY-----")},
		{"encrypted, with headers", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,AB\n\nAA+/=\n-----END RSA PRIVATE KEY-----,",
			one("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,AB\n\nAA+/=\n-----END RSA PRIVATE KEY-----")},
		{"of PGP", "-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: GnuPG v2 (Linux)\n\nlQ=\n-----END PGP PRIVATE KEY BLOCK-----.",
			one("-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: GnuPG v2 (Linux)\n\nlQ=\n-----END PGP PRIVATE KEY BLOCK-----")},
		{"cut off", "-----BEGIN PRIVATE KEY-----\nMII", one("-----BEGIN PRIVATE KEY-----\nMII")},
		{"cut off inside quotes", `"-----BEGIN PRIVATE KEY-----MII" x`, one("-----BEGIN PRIVATE KEY-----MII")},
		{"with hyphens in front of its end", "-----BEGIN PRIVATE KEY-----A-----B-------END PRIVATE KEY-----x", one("-----BEGIN PRIVATE KEY-----A-----B-------END PRIVATE KEY-----")},
		{"with an end that is none", "-----BEGIN PRIVATE KEY-----A-----END x-----B-----END PRIVATE KEY-----x",
			one("-----BEGIN PRIVATE KEY-----A-----END x-----B-----END PRIVATE KEY-----")},
		{"two", privatePEM + "\n" + privatePEM, []string{"private_key:" + privatePEM, "private_key:" + privatePEM}},

		{"a public key", "-----BEGIN PUBLIC KEY-----\nMII=\n-----END PUBLIC KEY-----", nil},
		{"a certificate", "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----", nil},
		{"talk of one", "no PRIVATE KEY in -----BEGIN PRIVATE NOTE-----", nil},
		{"a line that does not end", "-----BEGIN PRIVATE KEY----", nil},
		{"a line with something else", "-----BEGIN PRIVATE KEY, OR NOT-----", nil},
		{"a label that is too long", "-----BEGIN " + strings.Repeat("A", 60) + " PRIVATE KEY-----", nil},
	})
}

// FuzzPrivateKey puts a block into fuzzed text, cut up: no byte of its body may be
// left.
func FuzzPrivateKey(f *testing.F) {
	f.Add("key: ", "\nMIIBVAIBADANBg\n", " tail", []byte{3})
	f.Add("-----BEGIN ", "Proc-Type: 4,ENCRYPTED\n\n-----END", "-----", []byte{1, 9})
	f.Add("\\n", "\\nMII-----END X----Y", "-----END", []byte{40})
	s, err := Compile(PrivateKey)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, before, body, after string, cuts []byte) {
		for _, c := range []byte(body) {
			if !pemText[c] {
				return
			}
		}
		if strings.ContainsAny(before+body+after, "\x00") || len(body) == 0 {
			return
		}
		text := before + "-----BEGIN PRIVATE KEY-----" + body + "\x00" + after
		i := 0
		out := scanParts(t, s, bytes.Clone([]byte(text)), func(int) int {
			if len(cuts) == 0 {
				return 1
			}
			i++
			return int(cuts[i%len(cuts)])%40 + 1
		})
		whole := scanWhole(t, s, text)
		if out != whole {
			t.Fatalf("cut up %q, whole %q", out, whole)
		}
		at := strings.Index(out, "<private_key>")
		if at < 0 {
			t.Fatalf("%q became %q", text, out)
		}
		// What is left in front of the byte that ends any block is what follows an
		// END line.
		left, _, _ := strings.Cut(out[at+len("<private_key>"):], "\x00")
		if left != "" && !strings.Contains(body, "-----END ") && !strings.Contains(before, "PRIVATE KEY-----") {
			t.Fatalf("%q leaves %q", text, left)
		}
	})
}
