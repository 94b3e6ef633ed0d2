package tlspolicy

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// still is a pair that looks at its files only when it is told to.
func still(cert, key string) *pair {
	p := &pair{certFile: cert, keyFile: key}
	p.check(time.Now())
	return p
}

func inForceSerial(p *pair) int64 {
	if held := p.inForce.Load(); held != nil {
		return held.certificate.Leaf.SerialNumber.Int64()
	}
	return 0
}

// looks makes a pair look several times.
func looks(p *pair, times int) {
	for range times {
		p.check(time.Now())
	}
}

func TestAHalfStateNeverReplacesAGoodPair(t *testing.T) {
	ca := newAuthority(t)
	key := newKey(t, "ecdsa")
	before := ca.issue(t, key, -time.Hour, time.Hour, "a.example")
	after := ca.good(t, "a.example")
	sameKey := ca.issue(t, key, -time.Hour, time.Hour, "a.example")
	expired := ca.issue(t, newKey(t, "ecdsa"), -2*time.Hour, -time.Hour, "a.example")
	future := ca.issue(t, newKey(t, "ecdsa"), time.Hour, 2*time.Hour, "a.example")
	lines := strings.SplitAfter(after.cert, "-----END CERTIFICATE-----\n")

	tests := []struct {
		name string
		files
		why string
	}{
		{"the new certificate with the old key", files{after.cert, before.key}, "does not match"},
		{"the old certificate with the new key", files{before.cert, after.key}, "does not match"},
		{"an empty certificate file", files{"", after.key}, "empty"},
		{"an empty key file", files{after.cert, ""}, "empty"},
		{"a certificate file of white space", files{"\n \n", after.key}, "empty"},
		{"both empty", files{"", ""}, "empty"},
		{"a certificate cut off in the first block", files{after.cert[:200], after.key}, "middle"},
		{"a chain cut off in its second block, with a key that fits", files{sameKey.cert[:len(sameKey.cert)-80], before.key}, "middle"},
		{"a chain cut off in the line that ends it", files{sameKey.cert[:len(sameKey.cert)-5], before.key}, "middle"},
		{"a key cut off", files{after.cert, after.key[:100]}, "middle"},
		{"no PEM at all", files{"not a certificate", after.key}, "PEM"},
		{"key and certificate exchanged", files{after.key, after.cert}, ""},
		{"a block that is no certificate", files{lines[0] + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", after.key}, "x509"},
		{"an expired pair", files(expired), "expired"},
		{"a pair that is not valid yet", files(future), "not valid before"},
		{"a file of zeroes", files{strings.Repeat("\x00", 2000), after.key}, "PEM"},
		{"a file that is too large", files{after.cert + strings.Repeat("\n", largestFile), after.key}, "larger"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cert, key := before.put(t, t.TempDir())
			p := still(cert, key)
			if inForceSerial(p) != before.serial(t) {
				t.Fatal("the good pair is not in force")
			}
			putFile(t, cert, tt.cert)
			putFile(t, key, tt.key)
			looks(p, 3)
			if inForceSerial(p) != before.serial(t) {
				t.Error("it replaced the good pair")
			}
			if _, err := p.state(); err == nil || !strings.Contains(err.Error(), tt.why) {
				t.Errorf("the state is %v, want one that says %q", err, tt.why)
			}
			putFile(t, cert, after.cert)
			putFile(t, key, after.key)
			looks(p, 2)
			if _, err := p.state(); inForceSerial(p) != after.serial(t) || err != nil {
				t.Errorf("a good pair behind it is not in force: %v", err)
			}
		})
	}
}

type files = issued // as they are in the middle of a change

func TestMissingFilesReplaceNothing(t *testing.T) {
	good := newAuthority(t).good(t, "a.example")
	cert, key := good.put(t, t.TempDir())
	p := still(cert, key)
	for _, name := range []string{cert, key} {
		if err := os.Rename(name, name+".away"); err != nil {
			t.Fatal(err)
		}
		looks(p, 2)
		if _, err := p.state(); inForceSerial(p) != good.serial(t) || err == nil {
			t.Errorf("without %s: %d in force, %v", name, inForceSerial(p), err)
		}
		if err := os.Rename(name+".away", name); err != nil {
			t.Fatal(err)
		}
		looks(p, 2)
		if _, err := p.state(); err != nil {
			t.Errorf("with %s again: %v", name, err)
		}
	}
}

func TestAChainThatIsStillBeingWrittenIsNotTaken(t *testing.T) {
	ca := newAuthority(t)
	key := newKey(t, "ecdsa")
	before, after := ca.issue(t, key, -time.Hour, time.Hour, "a.example"), ca.issue(t, key, -time.Hour, time.Hour, "a.example")
	cert, keyFile := before.put(t, t.TempDir())
	p := still(cert, keyFile)
	// Whole blocks, and the key is the same: nothing but time tells that there is more to come.
	putFile(t, cert, strings.TrimSuffix(after.cert, ca.pem))
	p.check(time.Now())
	putFile(t, cert, after.cert)
	p.check(time.Now())
	if inForceSerial(p) != before.serial(t) {
		t.Fatal("it was taken at first sight")
	}
	p.check(time.Now())
	if held := p.inForce.Load(); inForceSerial(p) != after.serial(t) || len(held.certificate.Certificate) != 2 {
		t.Errorf("the whole chain is not in force")
	}
}

func TestWhatIsThereFirstIsTakenUnlessItIsNoPair(t *testing.T) {
	ca := newAuthority(t)
	expired := ca.issue(t, newKey(t, "ecdsa"), -2*time.Hour, -time.Hour, "a.example")
	good := ca.good(t, "a.example")

	t.Run("an expired pair is better than none", func(t *testing.T) {
		cert, key := expired.put(t, t.TempDir())
		p := still(cert, key)
		if inForceSerial(p) != expired.serial(t) {
			t.Fatal("it is not in force")
		}
		good.put(t, filepath.Dir(cert))
		looks(p, 2)
		if inForceSerial(p) != good.serial(t) {
			t.Error("a good one does not replace it")
		}
	})
	t.Run("files that come later are taken", func(t *testing.T) {
		dir := t.TempDir()
		p := still(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
		if _, err := p.state(); p.inForce.Load() != nil || err == nil {
			t.Fatalf("something is in force, or nothing is wrong: %v", err)
		}
		putFile(t, p.certFile, good.cert)
		looks(p, 2)
		if p.inForce.Load() != nil {
			t.Fatal("a certificate without a key is in force")
		}
		putFile(t, p.keyFile, good.key)
		looks(p, 2)
		if inForceSerial(p) != good.serial(t) {
			t.Error("they are not")
		}
	})
	t.Run("a directory is no file", func(t *testing.T) {
		dir := t.TempDir()
		p := still(dir, dir)
		if _, err := p.state(); err == nil || !strings.Contains(err.Error(), "not a file") {
			t.Errorf("got %v", err)
		}
	})
}

func TestAPairThatIsNotValidYetComesIntoForceWhenItIs(t *testing.T) {
	ca := newAuthority(t)
	before, future := ca.good(t, "a.example"), ca.issue(t, newKey(t, "ecdsa"), 30*time.Minute, 3*time.Hour, "a.example")
	cert, key := before.put(t, t.TempDir())
	p := still(cert, key)
	future.put(t, filepath.Dir(cert))
	now := time.Now()
	for _, tt := range []struct {
		after time.Duration
		want  issued
	}{{0, before}, {time.Second, before}, {29 * time.Minute, before}, {31 * time.Minute, future}} {
		p.check(now.Add(tt.after))
		if inForceSerial(p) != tt.want.serial(t) {
			t.Errorf("after %s the other one is in force", tt.after)
		}
	}
}

func TestWhenTheGoodOneExpiresWhatIsThereIsTaken(t *testing.T) {
	ca := newAuthority(t)
	before, future := ca.good(t, "a.example"), ca.issue(t, newKey(t, "ecdsa"), 3*time.Hour, 4*time.Hour, "a.example")
	cert, key := before.put(t, t.TempDir())
	p := still(cert, key)
	future.put(t, filepath.Dir(cert))
	looks(p, 3)
	if inForceSerial(p) != before.serial(t) {
		t.Fatal("it was taken before")
	}
	p.check(time.Now().Add(2 * time.Hour))
	if inForceSerial(p) != future.serial(t) {
		t.Error("an expired certificate is kept for nothing")
	}
}

func TestFilesThatGoBackToWhatIsInForceAreFine(t *testing.T) {
	ca := newAuthority(t)
	good := ca.good(t, "a.example")
	cert, key := good.put(t, t.TempDir())
	changes := 0
	p := still(cert, key)
	p.onChange = func(_ *pair, err error) {
		if err == nil {
			changes++
		}
	}
	putFile(t, cert, "junk")
	looks(p, 2)
	putFile(t, cert, good.cert)
	looks(p, 3)
	if _, err := p.state(); err != nil || changes != 0 {
		t.Errorf("got %v, and %d changes", err, changes)
	}
}

func TestWhatIsWrongIsToldOnce(t *testing.T) {
	good := newAuthority(t).good(t, "a.example")
	cert, key := good.put(t, t.TempDir())
	var told []string
	p := still(cert, key)
	p.onChange = func(_ *pair, err error) { told = append(told, fmt.Sprint(err)) }
	putFile(t, cert, "junk")
	looks(p, 5)
	if len(told) != 1 {
		t.Errorf("told %q", told)
	}
	for _, line := range told {
		if strings.Contains(line, "junk") {
			t.Errorf("the file's content is told: %s", line)
		}
	}
}

// A modification time that is old and the same proves nothing else changed: the
// files are not read again. The trap is a change within the time's precision.
func TestAChangeWithinThePrecisionOfTheFileSystemIsSeen(t *testing.T) {
	ca := newAuthority(t)
	before, after := ca.good(t, "a.example"), ca.good(t, "a.example")
	cert, key := before.put(t, t.TempDir())
	stamp := time.Now().Truncate(time.Second)
	touch := func() {
		for _, name := range []string{cert, key} {
			if err := os.Chtimes(name, stamp, stamp); err != nil {
				t.Fatal(err)
			}
		}
	}
	touch()
	p := still(cert, key)
	after.put(t, filepath.Dir(cert))
	touch()
	looks(p, 2)
	if inForceSerial(p) != after.serial(t) {
		t.Error("it is not")
	}
}

func TestTheShortestIntervalOfThoseThatShareAPairCounts(t *testing.T) {
	p := &pair{paced: make(chan struct{}, 1)}
	expect := func(when string, want time.Duration) {
		t.Helper()
		if got := p.interval(); got != want {
			t.Errorf("%s: got %s, want %s", when, got, want)
		}
	}
	first, second := p.pace(time.Minute), p.pace(time.Second)
	third := p.pace(time.Second)
	expect("three", time.Second)
	second()
	expect("one of two that are the same is gone", time.Second)
	third()
	expect("one is left", time.Minute)
	first()
	expect("none is left", longestPoll)
}

func TestNamesAreCovered(t *testing.T) {
	ca := newAuthority(t)
	content := func(i issued) [2][]byte { return [2][]byte{[]byte(i.cert), []byte(i.key)} }
	many, err := parse(content(ca.good(t, "A.example", "*.b.example")), [32]byte{})
	if err != nil {
		t.Fatal(err)
	}
	address, err := parse(content(ca.good(t, "192.0.2.1")), [32]byte{})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		held *loaded
		name string
		want bool
	}{
		{many, "a.example", true},
		{many, "x.b.example", true},
		{many, "b.example", false},
		{many, "x.y.b.example", false},
		{many, "x.a.example", false},
		{many, "", false},
		{many, "example", false},
		{address, "192.0.2.1", true},
		{address, "192.0.2.2", false},
	}
	for _, tt := range tests {
		if got := tt.held.covers(tt.name); got != tt.want {
			t.Errorf("%q: got %t", tt.name, got)
		}
	}
}

func TestTheBestOfSeveralIsChosen(t *testing.T) {
	ca := newAuthority(t)
	expiredA := ca.issue(t, newKey(t, "ecdsa"), -2*time.Hour, -time.Hour, "a.example")
	ecdsaA, rsaA := ca.good(t, "a.example"), ca.issue(t, newKey(t, "rsa"), -time.Hour, time.Hour, "a.example")
	wildcard := ca.good(t, "*.b.example")
	m := new(Mounted)
	for _, i := range []issued{expiredA, ecdsaA, rsaA, wildcard} {
		m.pairs = append(m.pairs, still(i.put(t, t.TempDir())))
	}
	m.pairs = append(m.pairs, still("/nonexistent/tls.crt", "/nonexistent/tls.key"))
	onlyRSA := func(c *tls.Certificate) error {
		if _, ok := c.Leaf.PublicKey.(interface{ Size() int }); ok {
			return nil
		}
		return errMissing
	}
	tests := []struct {
		name, server string
		suits        func(*tls.Certificate) error
		want         issued
	}{
		{"a valid one before an expired one", "a.example", nil, ecdsaA},
		{"one that the client can verify", "a.example", onlyRSA, rsaA},
		{"the one for the name", "x.b.example", nil, wildcard},
		{"the one for the name, though the client cannot verify it", "x.b.example", onlyRSA, wildcard},
		{"some valid one for a name that none is for", "c.example", nil, ecdsaA},
		{"some valid one for no name", "", nil, ecdsaA},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			held := m.choose(tt.server, tt.suits)
			if held == nil || held.certificate.Leaf.SerialNumber.Int64() != tt.want.serial(t) {
				t.Error("another one is chosen")
			}
		})
	}
}

func FuzzAPairIsReadWholeOrNotAtAll(f *testing.F) {
	ca := newAuthority(f)
	good := ca.good(f, "a.example")
	f.Add(good.cert, good.key)
	f.Add(good.cert[:len(good.cert)-3], good.key)
	f.Add("", "")
	f.Add(good.key, good.cert)
	f.Fuzz(func(t *testing.T, cert, key string) {
		held, err := parse([2][]byte{[]byte(cert), []byte(key)}, [32]byte{})
		if (held == nil) == (err == nil) {
			t.Fatalf("got %v and %v", held, err)
		}
		if err == nil && (held.certificate.Leaf == nil || strings.Count(cert, "-----BEGIN CERTIFICATE-----") < len(held.certificate.Certificate)) {
			t.Error("it has no leaf, or more than the file")
		}
	})
}

func BenchmarkGetCertificate(b *testing.B) {
	ca := newAuthority(b)
	one := &Mounted{pairs: []*pair{still(ca.good(b, "a.example").put(b, b.TempDir()))}}
	several := &Mounted{pairs: []*pair{one.pairs[0], still(ca.good(b, "b.example").put(b, b.TempDir()))}}
	hello := &tls.ClientHelloInfo{ServerName: "b.example", SupportedVersions: []uint16{tls.VersionTLS13}, SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256}}
	for name, m := range map[string]*Mounted{"one": one, "several": several} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.GetCertificate(b.Context(), hello); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkLookAtUnchangedFiles(b *testing.B) {
	cert, key := newAuthority(b).good(b, "a.example").put(b, b.TempDir())
	old := time.Now().Add(-time.Hour)
	for _, name := range []string{cert, key} {
		if err := os.Chtimes(name, old, old); err != nil {
			b.Fatal(err)
		}
	}
	p := still(cert, key)
	p.settled = true // files that were just made are read again
	b.ReportAllocs()
	for b.Loop() {
		p.check(time.Now())
	}
}
