package tlspolicy

import (
	"crypto/tls"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

// named is something that a client can offer.
type named struct {
	name string
	id   uint16
}

var (
	scannedVersions = []named{{"SSL 3.0", 0x0300}, {"TLS 1.0", 0x0301}, {"TLS 1.1", 0x0302}, {"TLS 1.2", 0x0303}, {"TLS 1.3", 0x0304}}
	scannedGroups   = []named{
		{"X25519MLKEM768", 4588}, {"SecP256r1MLKEM768", 4587}, {"SecP384r1MLKEM1024", 4589}, {"MLKEM768", 513}, {"MLKEM1024", 514},
		{"x25519", 29}, {"x448", 30}, {"secp256r1", 23}, {"secp384r1", 24}, {"secp521r1", 25}, {"secp256k1", 22}, {"secp224r1", 21},
		{"sect571r1", 14}, {"brainpoolP256r1", 26}, {"ffdhe2048", 256}, {"ffdhe3072", 257},
	}
	scannedProtocols = []string{"h2", "http/1.1", "http/1.0", "http/0.9", "spdy/3.1", "h2c", "ftp"}
)

// scannedSuites are all that crypto/tls has a name for, and weak ones that it
// never knew.
func scannedSuites() []named {
	suites := []named{
		{"TLS_AES_128_CCM_SHA256", 0x1304}, {"TLS_AES_128_CCM_8_SHA256", 0x1305},
		{"TLS_NULL_WITH_NULL_NULL", 0x0000}, {"TLS_RSA_WITH_NULL_SHA256", 0x003b}, {"TLS_RSA_EXPORT_WITH_RC4_40_MD5", 0x0003},
		{"TLS_DH_anon_WITH_AES_128_GCM_SHA256", 0x00a6}, {"TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", 0x009e},
		{"TLS_DHE_RSA_WITH_AES_256_GCM_SHA384", 0x009f}, {"TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256", 0xccaa},
		{"TLS_DHE_RSA_WITH_AES_256_CBC_SHA", 0x0039}, {"TLS_ECDHE_ECDSA_WITH_NULL_SHA", 0xc006}, {"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384", 0xc028},
	}
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		suites = append(suites, named{s.Name, s.ID})
	}
	return suites
}

// TestTheTableIsWhatAScanFinds scans a gateway with both levels, and compares
// what it finds with the table in doc.go.
func TestTheTableIsWhatAScanFinds(t *testing.T) {
	ca := newAuthority(t)
	ecdsaCert, ecdsaKey := ca.good(t, "modern.example", "intermediate.example").put(t, t.TempDir())
	rsaCert, rsaKey := ca.issue(t, newKey(t, "rsa"), -3600e9, 3600e9, "modern.example", "intermediate.example").put(t, t.TempDir())
	config := ""
	for _, l := range levels {
		config += "https://" + l.name + ".example:{$PORT} {\n\tbind 127.0.0.1\n\ttls {\n\t\tget_certificate mounted {\n\t\t\tcert " + ecdsaCert +
			"\n\t\t\tkey " + ecdsaKey + "\n\t\t\tpair " + rsaCert + " " + rsaKey + "\n\t\t}\n\t}\n\ttls_policy " + l.name + "\n\trespond ok\n}\n"
	}
	g := gatetest.Run(t, config)

	table := newTable()
	for _, l := range levels {
		scan(t, strings.TrimPrefix(g.URL, "http://"), l.name, table)
	}
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	if got := table.String(); !strings.Contains(string(doc), got) {
		t.Errorf("doc.go has another table than the scan:\n%s", got)
	}
}

// scan tries every version, suite, group and protocol on its own.
func scan(t *testing.T, addr, level string, found *table) {
	t.Helper()
	server := level + ".example"
	all := func(items []named) (ids []uint16) {
		for _, item := range items {
			ids = append(ids, item.id)
		}
		return ids
	}
	suites, groups := all(scannedSuites()), all(scannedGroups)
	for _, v := range scannedVersions {
		r := probe{v.id, suites, groups, server}.send(t, addr)
		if r.alert == 0 && r.version != v.id {
			t.Errorf("%s: asked for %s and got %x", level, v.name, r.version)
		}
		found.add("version", v.name, level, r.alert == 0)
	}
	for _, s := range scannedSuites() {
		accepted := false
		for _, v := range scannedVersions {
			r := probe{v.id, []uint16{s.id}, groups, server}.send(t, addr)
			if r.alert == 0 && r.suite != s.id {
				t.Errorf("%s: offered %s and got %x", level, s.name, r.suite)
			}
			accepted = accepted || r.alert == 0
		}
		found.add("suite", s.name, level, accepted)
	}
	for _, group := range scannedGroups {
		accepted := false
		for _, v := range scannedVersions {
			// Without suites that need no group.
			r := probe{v.id, []uint16{0x1301, 0xc02b, 0xc02f}, []uint16{group.id}, server}.send(t, addr)
			accepted = accepted || r.alert == 0
		}
		found.add("curve", group.name, level, accepted)
	}
	if r := (probe{version13, suites, slices.Sorted(slices.Values(groups)), server}).send(t, addr); r.group != scannedGroups[0].id {
		t.Errorf("%s: of all curves it takes %d, not %s", level, r.group, scannedGroups[0].name)
	}
	for _, protocol := range scannedProtocols {
		found.add("ALPN", protocol, level, negotiates(t, addr, server, protocol))
	}
}

// negotiates reports whether a client that offers one protocol gets it.
func negotiates(t *testing.T, addr, server, protocol string) bool {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{ServerName: server, InsecureSkipVerify: true, NextProtos: []string{protocol}})
	if err != nil {
		return false
	}
	defer conn.Close()
	return conn.ConnectionState().NegotiatedProtocol == protocol
}

// table is what scans found: a line for what some level accepts, and the names of
// all that none does.
type table struct {
	kinds   []string
	names   map[string][]string
	accepts map[[3]string]bool
}

func newTable() *table { return &table{names: map[string][]string{}, accepts: map[[3]string]bool{}} }

func (f *table) add(kind, name, level string, accepted bool) {
	if !slices.Contains(f.kinds, kind) {
		f.kinds = append(f.kinds, kind)
	}
	if !slices.Contains(f.names[kind], name) {
		f.names[kind] = append(f.names[kind], name)
	}
	f.accepts[[3]string{kind, name, level}] = accepted
}

func (f *table) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "//\t%-8s %-46s", "", "")
	for _, l := range levels {
		fmt.Fprintf(&b, " %-13s", l.name)
	}
	lines := strings.TrimRight(b.String(), " ") + "\n"
	refused := "//\n// Refused by both were:\n//\n"
	for _, kind := range f.kinds {
		var none []string
		for _, name := range f.names[kind] {
			line, some := fmt.Sprintf("//\t%-8s %-46s", kind, name), false
			for _, l := range levels {
				word := "no"
				if f.accepts[[3]string{kind, name, l.name}] {
					word, some = "yes", true
				}
				line += fmt.Sprintf(" %-13s", word)
			}
			if some {
				lines += strings.TrimRight(line, " ") + "\n"
			} else {
				none = append(none, name)
			}
		}
		refused += wrap(kind, none)
	}
	return lines + refused
}

// wrap writes names behind their kind, a few a line.
func wrap(kind string, names []string) string {
	lines, line := "", ""
	for i, name := range names {
		if i < len(names)-1 {
			name += ","
		}
		if line != "" && len(line)+len(name) > 95 {
			lines, line, kind = lines+fmt.Sprintf("//\t%-8s%s\n", kind, line), "", ""
		}
		line += " " + name
	}
	return lines + fmt.Sprintf("//\t%-8s%s\n", kind, line)
}
