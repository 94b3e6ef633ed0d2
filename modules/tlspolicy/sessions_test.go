package tlspolicy

import (
	"crypto/tls"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

// A resumed session brings the client's certificate with it, as verified when it
// began: shared keys must not turn on what Caddy turns off where clients are asked
// for one, nor may a session of another site, or of the time before a reload, go on
// there.
func TestSharedTicketsResumeNothingWhereClientsAreAskedForCertificates(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	dir := t.TempDir()
	cert, key := ours.good(t, "may.example", "free.example").put(t, dir)
	pool, otherPool := dir+"/ours.pem", dir+"/theirs.pem"
	putFile(t, pool, ours.pem)
	putFile(t, otherPool, theirs.pem)
	globals := strings.Replace(gatetest.Globals, "{\n", "{\n\tstorage file_system "+filepath.Join(dir, "storage")+"\n\tsallyport {\n\t\tsession_tickets shared\n\t}\n", 1)
	respond := `respond "{http.request.tls.resumed} <{http.request.tls.client.subject}>"`
	with := func(pool string) string {
		return globals + site("may.example", mounted(cert, key), strings.Replace(asking("verify_if_given", pool), "modern", "intermediate", 1), respond) +
			site("free.example", mounted(cert, key), "tls_policy intermediate", respond)
	}
	client := ours.good(t).pair(t)
	for version, name := range map[uint16]string{tls.VersionTLS12: "TLS 1.2", tls.VersionTLS13: "TLS 1.3"} {
		t.Run(name, func(t *testing.T) {
			g := gatetest.Run(t, with(pool))
			cache := &oneSession{}
			as := func(server string, certificates ...tls.Certificate) string {
				_, body, err := connect(g, &tls.Config{ServerName: server, MaxVersion: version, Certificates: certificates, ClientSessionCache: cache}, server)
				if err != nil {
					return err.Error()
				}
				return body
			}
			for range 2 {
				if got := as("may.example", client); got != "false <CN=client>" || cache.session != nil {
					t.Errorf("got %q, and a session: %t", got, cache.session != nil)
				}
			}
			eventually(t, "a session without a certificate to be resumed", func() bool { return as("free.example") == "true <>" })
			if got := as("may.example"); got != "false <>" {
				t.Errorf("a session of another site: got %q", got)
			}
			if err := g.Reload(t, with(otherPool)); err != nil {
				t.Fatal(err)
			}
			if got := as("may.example", client); strings.Contains(got, "client") {
				t.Errorf("after the pool has changed: got %q", got)
			}
		})
	}
}

// oneSession is a client's cache that takes every server for the same.
type oneSession struct{ session *tls.ClientSessionState }

func (o *oneSession) Get(string) (*tls.ClientSessionState, bool) { return o.session, o.session != nil }

func (o *oneSession) Put(_ string, session *tls.ClientSessionState) { o.session = session }
