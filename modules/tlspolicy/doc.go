// Package tlspolicy is TLS that ends at the gateway: how connections are made,
// which certificate is shown, and whether it is a good one.
//
// # Policy
//
//	tls_policy modern | intermediate {
//		client_auth require | verify_if_given {
//			trust_pool <module> …      # tls.ca_pool.source: file, inline, storage, http …
//			verifier   <module> …      # tls.client_auth.verifier; may be repeated
//		}
//		mode enforce | dry_run
//	}
//
// The two levels are those of Mozilla's Server Side TLS guideline 6.0: modern is
// TLS 1.3, intermediate adds TLS 1.2 with forward secrecy and authenticated
// encryption. Go chooses among what is left, the post-quantum hybrid first; the
// suites of TLS 1.3 cannot be chosen. It takes no matcher and stands in a site of
// https beside the tls directive, which keeps what it says about certificates.
// Settings there that contradict the policy are refused: protocols, ciphers,
// curves and alpn that differ, insecure_secrets_log. So is any other connection
// policy that a client of the site would get, from JSON or another site, if it is
// weaker: also where a site is named by an address, which no handshake names.
//
// This is what a scan of a running gateway finds; a test compares the two:
//
//	                                                        modern        intermediate
//	version  TLS 1.2                                        no            yes
//	version  TLS 1.3                                        yes           yes
//	suite    TLS_AES_128_GCM_SHA256                         yes           yes
//	suite    TLS_AES_256_GCM_SHA384                         yes           yes
//	suite    TLS_CHACHA20_POLY1305_SHA256                   yes           yes
//	suite    TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256        no            yes
//	suite    TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384        no            yes
//	suite    TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256          no            yes
//	suite    TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384          no            yes
//	suite    TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256    no            yes
//	suite    TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256  no            yes
//	curve    X25519MLKEM768                                 yes           yes
//	curve    x25519                                         yes           yes
//	curve    secp256r1                                      yes           yes
//	curve    secp384r1                                      yes           yes
//	ALPN     h2                                             yes           yes
//	ALPN     http/1.1                                       yes           yes
//
// Refused by both were:
//
//	version  SSL 3.0, TLS 1.0, TLS 1.1
//	suite    TLS_AES_128_CCM_SHA256, TLS_AES_128_CCM_8_SHA256, TLS_NULL_WITH_NULL_NULL,
//	         TLS_RSA_WITH_NULL_SHA256, TLS_RSA_EXPORT_WITH_RC4_40_MD5, TLS_DH_anon_WITH_AES_128_GCM_SHA256,
//	         TLS_DHE_RSA_WITH_AES_128_GCM_SHA256, TLS_DHE_RSA_WITH_AES_256_GCM_SHA384,
//	         TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256, TLS_DHE_RSA_WITH_AES_256_CBC_SHA,
//	         TLS_ECDHE_ECDSA_WITH_NULL_SHA, TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384,
//	         TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
//	         TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
//	         TLS_RSA_WITH_RC4_128_SHA, TLS_RSA_WITH_3DES_EDE_CBC_SHA, TLS_RSA_WITH_AES_128_CBC_SHA,
//	         TLS_RSA_WITH_AES_256_CBC_SHA, TLS_RSA_WITH_AES_128_CBC_SHA256, TLS_RSA_WITH_AES_128_GCM_SHA256,
//	         TLS_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_RC4_128_SHA,
//	         TLS_ECDHE_RSA_WITH_RC4_128_SHA, TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA,
//	         TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256
//	curve    SecP256r1MLKEM768, SecP384r1MLKEM1024, MLKEM768, MLKEM1024, x448, secp521r1, secp256k1,
//	         secp224r1, sect571r1, brainpoolP256r1, ffdhe2048, ffdhe3072
//	ALPN     http/1.0, http/0.9, spdy/3.1, h2c, ftp
//
// acme-tls/1 is answered too, for the challenge of that name and no request.
//
// client_auth asks clients for a certificate and verifies it against trust_pool,
// which is required: require ends the handshake without one, verify_if_given lets
// clients without one pass and ends it for one that is not good. Handlers see a
// verified certificate in the request's TLS state (VerifiedChains) and in Caddy's
// placeholders {http.request.tls.client.subject}, .issuer, .serial, .fingerprint,
// .certificate_pem; without one they are empty. For a wildcard beside other names,
// of the same site or of another, Caddy's adapter loses a client_auth that a tls
// directive beside it does not say itself: that is refused, write client_auth into
// the tls directive there. It holds as one here does.
//
// Where clients of a site are asked for certificates, by either directive, Caddy
// resumes no sessions and compares the Host with the handshake's name; a
// configuration with strict_sni_host insecure_off is refused. So are requests,
// with 421, over connections without a certificate that is required, with one that
// nobody verified, for a name whose site asks something else (it may have a path in
// its address, and this one get the rest), or with a name that is not ASCII: Caddy's
// comparison takes some such names for the site's.
//
// Caddy chooses the connection policy by the name in the handshake and the site by
// the Host of each request. A request that comes to the site over a connection
// that was made for another, weaker one is refused with 421
// tls_policy.misdirected; dry_run counts it and lets it pass. The handshake itself
// knows no dry_run.
//
// # Mounted certificates
//
//	tls {
//		get_certificate mounted [<cert_file> <key_file>] {
//			cert <file>
//			key  <file>
//			pair <cert_file> <key_file>    # more of them; may be repeated
//			poll <duration>                # 50ms to 1h; default: 2s
//		}
//	}
//
// The certificate is in files that somebody else renews: a Kubernetes secret, a
// Vault agent, a script. They are looked at every poll and reread when they
// changed, through symbolic links, without a reload and without a handshake that
// fails. A change is in force when two looks found it the same. A pair that does
// not match, is empty, cut off, expired or not valid yet replaces no good one; it
// is logged once and counted. Nor does one that is not for a configured name of the
// site that the good one is for. A reload keeps what is in force, also when the
// files are bad by then. Of several mounted with the same files the shortest poll
// counts.
//
// It fails closed: while there is no pair at all, handshakes fail, and nothing is
// obtained by ACME instead. A gateway starts without one, is not ready, and takes
// the files when they come. Of several pairs the one is shown that is for the
// name, valid, and of a kind that the client can verify, as far as there is one:
// an RSA and an ECDSA certificate for the same name are fine. Put all pairs of a site into one mounted. OCSP
// responses are not stapled.
//
// A site with a name shows its certificate to clients that ask for that name. All
// other handshakes fail, those without a name among them, with default_sni too:
// Caddy does not ask mounted then. Balancers that encrypt to the gateway, and
// health checks, often send no name or another one: give them a site without a
// name (https://:8443). It shows the first certificate that is valid to whoever
// asks for a name that none is for, or for none. Handshakes name no address: in a
// site that is named by one, mounted is never asked, and the gateway is not ready.
//
// Certificates that Caddy manages go first: where a reload changes a site from
// ACME to mounted, the old certificate is shown until the process is replaced.
//
// # Session tickets
//
//	{
//		sallyport {
//			session_tickets shared
//		}
//	}
//
// Sessions that one gateway began are resumed at any that has the same storage.
// The keys are there under sallyport/session_tickets.json, replaced every 12 hours
// by whichever gateway is first, and kept for 48, however long no gateway was there;
// those of a gateway whose clock was more than 12 hours ahead are replaced at once.
// But whoever reads the storage can decrypt connections of TLS 1.2 that were
// recorded. Encrypt it, or do not share.
// A gateway whose storage is away goes on with the keys it has, at first some of
// its own, and tries again every 30 seconds; damaged keys are left alone and not
// used. Deleted ones are made anew within ten minutes. It is the module
// tls.stek.shared, which a JSON configuration may also give to Caddy's tls app. Both
// at once are refused.
//
// # Certificate health
//
// For every configuration with a guard, health or mounted:
//
//	sallyport_certificate_expiry_timestamp_seconds{subject}  of what is shown
//	sallyport_certificate_failures_total{subject}            not obtained or renewed
//	sallyport_certificates_obtained_total{subject}
//	sallyport_mounted_certificate_refused{certificate}       1 while the files are bad
//
// subject is the configured name of a site, or the file of a mounted certificate
// whose site has none; other names, which clients choose where certificates are
// obtained on demand, are _other.
//
// The gateway is not ready while the only certificate for a configured name is
// missing, expired, not valid yet or for other names. Names whose certificate Caddy obtains by
// challenges over HTTP or TLS are an exception: the challenge comes in through the
// balancer, which sends none to a gateway that is not ready, so that it would never
// be. So are names whose certificate another get_certificate module finds at each
// handshake. Watch the metrics for those.
package tlspolicy
