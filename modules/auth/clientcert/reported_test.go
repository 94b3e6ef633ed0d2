package clientcert

import (
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"hash/maphash"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

// reported is what a balancer writes about certificates.
func reported(certificates ...[]byte) string {
	var text strings.Builder
	for _, der := range certificates {
		_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	return strings.NewReplacer("%2B", "+", "%3D", "=", "%2F", "/").Replace(url.PathEscape(text.String()))
}

func newReporter(t testing.TB, trusted ...*gatetest.Authority) *Reporter {
	t.Helper()
	var roots *x509.CertPool
	for _, a := range trusted {
		if roots == nil {
			roots = x509.NewCertPool()
		}
		roots.AddCert(a.Certificate)
	}
	r, err := NewReporter("reported", "", nil, roots)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReports(t *testing.T) {
	ca, other := gatetest.NewAuthority(t, "Ours"), gatetest.NewAuthority(t, "Theirs")
	template := x509.Certificate{DNSNames: []string{"a.example"}}
	leaf, foreign := ca.Issue(t, template), other.Issue(t, template)
	below := ca.Below(t, "Below")
	deep := below.Issue(t, template)
	good := reported(leaf.Certificate[0])
	tests := []struct {
		name, text string
		want       error // without roots
		verified   error // with the root of ours
	}{
		{"one", good, nil, nil},
		{"of another authority", reported(foreign.Certificate[0]), nil, ErrUnverified},
		{"of an authority below", reported(deep.Certificate...), ErrReport, nil},
		{"every byte that can be is escaped", strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(good, "+", "%2B"), "/", "%2f"), "=", "%3D"), nil, nil},
		{"nothing", "", ErrReport, ErrReport},
		{"no PEM", "x", ErrReport, ErrReport},
		{"half an escape", good + "%0", ErrReport, ErrReport},
		{"no escape", good + "%zz", ErrReport, ErrReport},
		{"a byte that is not written so", good + "\"", ErrReport, ErrReport},
		{"something in front", "x%0A" + good, ErrReport, ErrReport},
		{"something behind", good + "x", ErrReport, ErrReport},
		{"another kind of block", strings.ReplaceAll(good, "CERTIFICATE", "PUBLIC%20KEY"), ErrReport, ErrReport},
		{"a header in the block", strings.Replace(good, "-----%0A", "-----%0Aa%3A%20b%0A%0A", 1), ErrReport, ErrReport},
		{"a broken block behind a good one", good + "-----BEGIN%20CERTIFICATE-----%0A", ErrReport, ErrReport},
		{"no certificate in it", reported([]byte("x")), ErrReport, ErrReport},
		{"as many as may be", reported(slices.Repeat([][]byte{leaf.Certificate[0]}, maxChain)...), ErrReport, nil},
		{"one too many", reported(slices.Repeat([][]byte{leaf.Certificate[0]}, maxChain+1)...), ErrReport, ErrReport},
		{"too long", good + strings.Repeat("%0A", maxReported), ErrReport, ErrReport},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for roots, want := range map[*Reporter]error{newReporter(t): tt.want, newReporter(t, ca): tt.verified} {
				for range 2 { // read, and remembered
					who, err := roots.Verify(tt.text, time.Now())
					if !errors.Is(err, want) || (who == nil) != (err != nil) {
						t.Fatalf("got %+v, %v, want %v", who, err, want)
					}
					if who != nil && (who.ID != "a.example" || who.Method != "reported") {
						t.Errorf("got %+v", who)
					}
				}
			}
		})
	}
}

func TestTheDatesOfAReportAreJudgedEachTime(t *testing.T) {
	ca := gatetest.NewAuthority(t, "Ours")
	leaf := ca.Issue(t, x509.Certificate{DNSNames: []string{"a.example"}})
	text := reported(leaf.Certificate...)
	for name, r := range map[string]*Reporter{"verified by the balancer": newReporter(t), "verified here": newReporter(t, ca)} {
		for _, tt := range []struct {
			now  time.Time
			want error
		}{
			{leaf.Leaf.NotAfter.Add(time.Second), ErrExpired}, {time.Now(), nil},
			{leaf.Leaf.NotAfter.Add(time.Second), ErrExpired}, {leaf.Leaf.NotBefore.Add(-time.Second), ErrExpired}, {time.Now(), nil},
		} {
			if _, err := r.Verify(text, tt.now); !errors.Is(err, tt.want) {
				t.Errorf("%s: at %s got %v, want %v", name, tt.now, err, tt.want)
			}
		}
	}
}

func TestACertificateForServersIsNoClients(t *testing.T) {
	ca := gatetest.NewAuthority(t, "Ours")
	leaf := ca.IssueFor(t, x509.Certificate{DNSNames: []string{"a.example"}}, x509.ExtKeyUsageServerAuth)
	if who, err := newReporter(t, ca).Verify(reported(leaf.Certificate...), time.Now()); !errors.Is(err, ErrUnverified) {
		t.Errorf("got %+v, %v", who, err)
	}
}

// A chain of keys that nobody has could cost seconds for each request.
func TestHugeKeysAreNotReckonedWith(t *testing.T) {
	ca, signer := gatetest.NewAuthority(t, "Ours"), ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	leaf := ca.Issue(t, x509.Certificate{DNSNames: []string{"a.example"}})
	for bits, want := range map[uint]error{maxRSA: nil, maxRSA + 1: ErrReport} {
		template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: ca.Certificate.Subject, IsCA: true, BasicConstraintsValid: true}
		n := new(big.Int).Lsh(big.NewInt(1), bits-1)
		der, err := x509.CreateCertificate(nil, template, template, &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 1<<31 - 1}, signer)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := newReporter(t, ca).Verify(reported(leaf.Certificate[0], der), time.Now()); !errors.Is(err, want) {
			t.Errorf("%d bits: got %v, want %v", bits, err, want)
		}
	}
}

func TestAnAuthorityNamesOnlyWhomItMay(t *testing.T) {
	ca := gatetest.NewAuthority(t, "Ours")
	below := ca.BelowWith(t, x509.Certificate{PermittedDNSDomainsCritical: true, PermittedDNSDomains: []string{"partner.example"}})
	for name, want := range map[string]error{"a.partner.example": nil, "a.example": ErrUnverified} {
		leaf := below.Issue(t, x509.Certificate{DNSNames: []string{name}})
		if _, err := newReporter(t, ca).Verify(reported(leaf.Certificate...), time.Now()); !errors.Is(err, want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestReportsAreRememberedWithoutAllocations(t *testing.T) {
	ca := gatetest.NewAuthority(t, "Ours")
	text := reported(ca.Issue(t, x509.Certificate{DNSNames: []string{"a.example"}}).Certificate...)
	for name, r := range map[string]*Reporter{"verified by the balancer": newReporter(t), "verified here": newReporter(t, ca)} {
		if n := testing.AllocsPerRun(100, func() {
			if _, err := r.Verify(text, time.Now()); err != nil {
				t.Fatal(err)
			}
		}); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// FuzzReport feeds reports to the parser. What it accepts must be certificates, and
// nothing beside them.
func FuzzReport(f *testing.F) {
	ca := gatetest.NewAuthority(f, "Ours")
	f.Add(reported(ca.Certificate.Raw))
	f.Add(reported(ca.Certificate.Raw, ca.Certificate.Raw))
	f.Add("-----BEGIN%20CERTIFICATE-----%0A%0A-----END%20CERTIFICATE-----%0A")
	f.Add("%2D")
	f.Add("%")
	f.Fuzz(func(t *testing.T, text string) {
		chain, err := parseReport(text)
		if err != nil {
			if !errors.Is(err, ErrReport) || chain != nil {
				t.Fatalf("got %v, %v", chain, err)
			}
			return
		}
		if len(chain) == 0 || len(chain) > maxChain || len(text) > maxReported {
			t.Fatalf("%d certificates in %d bytes", len(chain), len(text))
		}
		var raw [][]byte
		for _, c := range chain {
			raw = append(raw, c.Raw)
		}
		again, err := parseReport(reported(raw...))
		if err != nil || len(again) != len(chain) {
			t.Fatalf("what was read is written as something else: %v", err)
		}
	})
}

func TestWhatIsRememberedIsOfTheSameReport(t *testing.T) {
	ca := gatetest.NewAuthority(t, "Ours")
	r := newReporter(t, ca)
	good := reported(ca.Issue(t, x509.Certificate{DNSNames: []string{"a.example"}}).Certificate...)
	other := reported(gatetest.NewAuthority(t, "Theirs").Issue(t, x509.Certificate{DNSNames: []string{"b.example"}}).Certificate...)
	if _, err := r.Verify(good, time.Now()); err != nil {
		t.Fatal(err)
	}
	place := func(text string) *atomic.Pointer[report] {
		return &r.cache[maphash.String(r.verifier.cache.seed, text)%reportEntries]
	}
	place(other).Store(place(good).Load())
	if who, err := r.Verify(other, time.Now()); !errors.Is(err, ErrUnverified) {
		t.Errorf("got %+v, %v", who, err)
	}
}

// An authority is renewed with its key: what it issued goes on when the old
// certificate ends.
func TestAnotherChainStandsInForOneThatExpired(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now().Add(-time.Hour)
	certificate := func(serial int64, ca bool, from, until time.Time) *x509.Certificate {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "Ours"}, IsCA: ca, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
			NotBefore: from, NotAfter: until,
		}
		parent := template
		if !ca {
			template.Subject, template.DNSNames, template.KeyUsage = pkix.Name{}, []string{"a.example"}, x509.KeyUsageDigitalSignature
			parent = &x509.Certificate{Subject: pkix.Name{CommonName: "Ours"}}
		}
		der, err := x509.CreateCertificate(nil, template, parent, public, private)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	old, renewed := certificate(1, true, begin, begin.Add(2*time.Hour)), certificate(2, true, begin.Add(90*time.Minute), begin.Add(9*time.Hour))
	r := newReporter(t, &gatetest.Authority{Certificate: old}, &gatetest.Authority{Certificate: renewed})
	text := reported(certificate(3, false, begin, begin.Add(5*time.Hour)).Raw)
	for _, tt := range []struct {
		after time.Duration
		want  error
	}{{time.Hour, nil}, {4 * time.Hour, nil}, {6 * time.Hour, ErrExpired}} {
		if _, err := r.Verify(text, begin.Add(tt.after)); !errors.Is(err, tt.want) {
			t.Errorf("after %s: got %v", tt.after, err)
		}
	}
}
