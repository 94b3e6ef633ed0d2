package clientcert

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

// connection is the state of one on which the certificate was verified against the
// authorities.
func connection(t testing.TB, client tls.Certificate, trusted ...*gatetest.Authority) *tls.ConnectionState {
	t.Helper()
	opts := x509.VerifyOptions{
		Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: client.Leaf.NotBefore,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, a := range trusted {
		opts.Roots.AddCert(a.Certificate)
	}
	s := &tls.ConnectionState{ServerName: "api.example.com"}
	for _, der := range client.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		s.PeerCertificates = append(s.PeerCertificates, c)
		opts.Intermediates.AddCert(c)
	}
	var err error
	if s.VerifiedChains, err = s.PeerCertificates[0].Verify(opts); err != nil {
		t.Fatal(err)
	}
	return s
}

func verifier(t testing.TB, name string, issuers ...string) *Verifier {
	t.Helper()
	v, err := New(name, issuers)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func link(t testing.TB, texts ...string) (all []*url.URL) {
	t.Helper()
	for _, text := range texts {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, u)
	}
	return all
}

func TestNamesOfCallers(t *testing.T) {
	ca := gatetest.NewAuthority(t, "Partner CA")
	subject := pkix.Name{CommonName: "orders", Organization: []string{"Acme, Inc."}, Country: []string{"DE"}}
	const dn = `CN=orders,O=Acme\, Inc.,C=DE`
	twoCNs := pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{
		{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "first"}, {Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "second"},
	}}
	everything := x509.Certificate{
		Subject: subject, URIs: link(t, "spiffe://acme.example/orders"), DNSNames: []string{"Orders.Acme.Example"}, EmailAddresses: []string{"orders@acme.example"},
	}
	tests := []struct {
		name, option string
		certificate  x509.Certificate
		want         string // empty: refused
	}{
		{"the URI first", "", everything, "spiffe://acme.example/orders"},
		{"then the DNS name, in lower case", "", x509.Certificate{Subject: subject, DNSNames: everything.DNSNames}, "orders.acme.example"},
		{"then the whole subject", "", x509.Certificate{Subject: subject, EmailAddresses: everything.EmailAddresses}, dn},
		{"no name at all", "", x509.Certificate{}, ""},
		{"two URIs are no name", "", x509.Certificate{Subject: subject, URIs: link(t, "spiffe://a/b", "spiffe://a/c")}, ""},
		{"two URIs beside a DNS name are no name", "", x509.Certificate{URIs: link(t, "spiffe://a/b", "spiffe://a/c"), DNSNames: []string{"a.example"}}, ""},
		{"two DNS names are no name", "", x509.Certificate{Subject: subject, DNSNames: []string{"a.example", "b.example"}}, ""},
		{"a URI that looks like a subject", "", x509.Certificate{Subject: subject, URIs: link(t, "CN=root")}, ""},
		{"a URI with a user in it", "", x509.Certificate{Subject: subject, URIs: link(t, "https://root@a.example/")}, ""},
		{"a URI with a fragment", "", x509.Certificate{Subject: subject, URIs: link(t, "spiffe://a/b#c")}, ""},
		{"a DNS name that looks like a URI", "", x509.Certificate{Subject: subject, DNSNames: []string{"spiffe://a/b"}}, ""},
		{"a DNS name that looks like a subject", "", x509.Certificate{Subject: subject, DNSNames: []string{"CN=root"}}, ""},
		{"a DNS name for many", "", x509.Certificate{Subject: subject, DNSNames: []string{"*.acme.example"}}, ""},

		{"the URI", "san_uri", everything, "spiffe://acme.example/orders"},
		{"the DNS name", "san_dns", everything, "orders.acme.example"},
		{"the mail address", "san_email", everything, "orders@acme.example"},
		{"the subject", "subject", everything, dn},
		{"another kind does not stand in", "san_uri", x509.Certificate{Subject: subject, DNSNames: everything.DNSNames}, ""},
		{"nor does the common name", "san_dns", x509.Certificate{Subject: pkix.Name{CommonName: "orders.acme.example"}}, ""},
		{"two mail addresses", "san_email", x509.Certificate{EmailAddresses: []string{"a@a.example", "b@a.example"}}, ""},
		{"an empty subject", "subject", x509.Certificate{DNSNames: everything.DNSNames}, ""},
		{"every common name is in the subject", "subject", x509.Certificate{Subject: twoCNs}, "CN=second,CN=first"},
		{"a control character", "subject", x509.Certificate{Subject: pkix.Name{CommonName: "a\nb"}}, ""},
		{"a name that is too long", "subject", x509.Certificate{Subject: pkix.Name{CommonName: strings.Repeat("a", maxName)}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := verifier(t, tt.option)
			s := connection(t, ca.Issue(t, tt.certificate), ca)
			for range 2 { // read, and remembered
				who, err := v.Verify(s, time.Now())
				if tt.want == "" {
					if err != ErrName {
						t.Errorf("got %+v, %v", who, err)
					}
					continue
				}
				if err != nil || who.ID != tt.want || who.Issuer != "CN=Partner CA" || who.Method != Method {
					t.Errorf("got %+v, %v", who, err)
				}
			}
		})
	}
	t.Run("the fingerprint", func(t *testing.T) {
		client := ca.Issue(t, everything)
		who, err := verifier(t, "fingerprint").Verify(connection(t, client, ca), time.Now())
		if err != nil || who.ID != fingerprint(client.Leaf) || len(who.ID) != 64 {
			t.Errorf("got %+v, %v", who, err)
		}
		if names, _ := who.Claims["san_dns"].([]any); who.Claims["subject"] != dn || !slices.Equal(names, []any{"orders.acme.example"}) {
			t.Errorf("claims %v", who.Claims)
		}
	})
	if _, err := New("cn", nil); err == nil {
		t.Error("the common name alone is accepted as a name")
	}
}

func TestWhatIsNoCredential(t *testing.T) {
	ca, other := gatetest.NewAuthority(t, "Ours"), gatetest.NewAuthority(t, "Theirs")
	client := ca.Issue(t, x509.Certificate{DNSNames: []string{"a.example"}})
	good := connection(t, client, ca)
	with := func(change func(*tls.ConnectionState)) *tls.ConnectionState {
		s := *good
		change(&s)
		return &s
	}
	start, end := client.Leaf.NotBefore, client.Leaf.NotAfter
	tests := []struct {
		name  string
		state *tls.ConnectionState
		now   time.Time
		want  error
	}{
		{"verified and in its dates", good, time.Now(), nil},
		{"its first second", good, start, nil},
		{"its last second", good, end, nil},
		{"a second later", good, end.Add(time.Second), ErrExpired},
		{"a second too early", good, start.Add(-time.Second), ErrExpired},
		{"no TLS", nil, time.Now(), ErrNone},
		{"none shown", &tls.ConnectionState{}, time.Now(), ErrNone},
		{"shown and not verified", with(func(s *tls.ConnectionState) { s.VerifiedChains = nil }), time.Now(), ErrUnverified},
		{"an empty chain", with(func(s *tls.ConnectionState) { s.VerifiedChains = [][]*x509.Certificate{{}} }), time.Now(), ErrExpired},
		{"a handshake for a name that folds to the site's", with(func(s *tls.ConnectionState) { s.ServerName = "\u017fhop.example" }), time.Now(), ErrUnverified},
		{"an authority that is not allowed", connection(t, other.Issue(t, x509.Certificate{DNSNames: []string{"a.example"}}), other), time.Now(), ErrIssuer},
	}
	v := verifier(t, "", "CN=Ours")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if who, err := v.Verify(tt.state, tt.now); err != tt.want || (who == nil) != (err != nil) {
				t.Errorf("got %+v, %v", who, err)
			}
		})
	}
}

func TestAnAuthorityInBetweenThatExpiredTakesItsCertificatesWithIt(t *testing.T) {
	root := gatetest.NewAuthority(t, "Root")
	client := root.Below(t, "Below").Issue(t, x509.Certificate{DNSNames: []string{"a.example"}, NotAfter: time.Now().Add(48 * time.Hour)})
	s := connection(t, client, root)
	v := verifier(t, "")
	if _, err := v.Verify(s, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(s, time.Now().Add(2*time.Hour)); err != ErrExpired {
		t.Errorf("got %v", err)
	}
}

// Callers of different authorities are different, whatever these write into
// certificates.
func TestTwoAuthoritiesDoNotShareACaller(t *testing.T) {
	ours, theirs := gatetest.NewAuthority(t, "Ours"), gatetest.NewAuthority(t, "Theirs")
	same := x509.Certificate{Subject: pkix.Name{CommonName: "orders"}, DNSNames: []string{"orders.example"}}
	v := verifier(t, "")
	issuer := func(a *gatetest.Authority) string {
		t.Helper()
		who, err := v.Verify(connection(t, a.Issue(t, same), ours, theirs), time.Now())
		if err != nil || who.ID != "orders.example" {
			t.Fatalf("got %+v, %v", who, err)
		}
		return who.Issuer
	}
	for name, tt := range map[string]struct {
		authority *gatetest.Authority
		want      string
	}{
		"one":                   {ours, "CN=Ours"},
		"the other":             {theirs, "CN=Theirs"},
		"an authority below it": {ours.Below(t, "Below"), "CN=Ours"},
		"one below the other with the first name": {theirs.Below(t, "Ours"), "CN=Theirs"},
	} {
		if got := issuer(tt.authority); got != tt.want {
			t.Errorf("%s: got %s", name, got)
		}
	}
	// Where one is crossed with another, the chain to the allowed one counts.
	client := theirs.Below(t, "Below").Issue(t, same)
	s := connection(t, client, theirs)
	s.VerifiedChains = append([][]*x509.Certificate{{client.Leaf, ours.Certificate}}, s.VerifiedChains...)
	if who, err := verifier(t, "", "CN=Theirs").Verify(s, time.Now()); err != nil || who.Issuer != "CN=Theirs" {
		t.Errorf("got %+v, %v", who, err)
	}
}

func TestAnAuthorityWithoutANameIsNoIssuer(t *testing.T) {
	nameless := gatetest.NewAuthority(t, "")
	leaf := nameless.Issue(t, x509.Certificate{DNSNames: []string{"a.example"}}).Leaf
	s := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}, VerifiedChains: [][]*x509.Certificate{{leaf, nameless.Certificate}}}
	if who, err := verifier(t, "").Verify(s, time.Now()); err != ErrIssuer {
		t.Errorf("got %+v, %v", who, err)
	}
}

// What was remembered of one certificate is not said of another that lies in the
// same place, nor of the same one under another authority.
func TestWhatIsRememberedIsOfTheSameCertificate(t *testing.T) {
	ca, other := gatetest.NewAuthority(t, "Ours"), gatetest.NewAuthority(t, "Theirs")
	a, b := ca.Issue(t, x509.Certificate{DNSNames: []string{"a.example"}}).Leaf, ca.Issue(t, x509.Certificate{DNSNames: []string{"b.example"}}).Leaf
	b.Signature = a.Signature // the place
	v := verifier(t, "")
	for range 2 {
		for _, tt := range []struct {
			leaf, authority *x509.Certificate
			want            principal.Principal
		}{
			{a, ca.Certificate, principal.Principal{ID: "a.example", Issuer: "CN=Ours"}},
			{b, ca.Certificate, principal.Principal{ID: "b.example", Issuer: "CN=Ours"}},
			{a, other.Certificate, principal.Principal{ID: "a.example", Issuer: "CN=Theirs"}},
		} {
			s := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{tt.leaf}, VerifiedChains: [][]*x509.Certificate{{tt.leaf, tt.authority}}}
			if who, err := v.Verify(s, time.Now()); err != nil || who.ID != tt.want.ID || who.Issuer != tt.want.Issuer {
				t.Errorf("got %+v, %v, want %+v", who, err, tt.want)
			}
		}
	}
}

func TestVerifyDoesNotAllocateAgain(t *testing.T) {
	ca := gatetest.NewAuthority(t, "Ours")
	s, v := connection(t, ca.Issue(t, x509.Certificate{DNSNames: []string{"a.example"}}), ca), verifier(t, "")
	if n := testing.AllocsPerRun(100, func() {
		if _, err := v.Verify(s, time.Now()); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkVerify is to be compared with reading the certificate each time.
func BenchmarkVerify(b *testing.B) {
	ca := gatetest.NewAuthority(b, "Ours")
	s, v := connection(b, ca.Issue(b, x509.Certificate{DNSNames: []string{"a.example"}}), ca), verifier(b, "")
	now := time.Now()
	b.Run("remembered", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.Verify(s, now); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.read(s.VerifiedChains[0][0], ca.Certificate); err != nil {
				b.Fatal(err)
			}
		}
	})
}
