package trustpool

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func authority(t *testing.T) string {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestRead(t *testing.T) {
	dir, good := t.TempDir(), authority(t)
	for name, text := range map[string]string{
		"one": good, "two": authority(t) + "some words\n" + good,
		"empty": "", "junk": "junk",
		"key":    good + "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
		"broken": strings.Replace(good, "\n-----END", "*\n-----END", 1) + good,
		"other":  "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
		"huge":   good + strings.Repeat(" ", maxFile),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		files string
		want  string // in the error
	}{
		{"one", ""}, {"one two", ""}, {"empty", "is not PEM"}, {"junk", "is not PEM"}, {"key", "no certificate"},
		{"broken", "is not PEM"}, {"other", "cannot be read"}, {"huge", "larger"}, {"missing", "no such file"}, {"one junk", "junk"},
	}
	for _, tt := range tests {
		t.Run(tt.files, func(t *testing.T) {
			var paths []string
			for name := range strings.FieldsSeq(tt.files) {
				paths = append(paths, filepath.Join(dir, name))
			}
			text, err := Read(paths)
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if _, err := Parse(text); err != nil {
					t.Errorf("together: %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v", err)
			}
		})
	}
	_, err := Read([]string{filepath.Join(dir, "junk"), filepath.Join(dir, "other")})
	if err == nil || !strings.Contains(err.Error(), "junk") || !strings.Contains(err.Error(), "other") {
		t.Errorf("not every bad file is named: %v", err)
	}
}
