// Package allowlist decides by the client's address who may call at all.
//
//	allowlist [<matcher>] {
//		allow <prefixes...>      # 192.0.2.0/24, 2001:db8::/32, 198.51.100.7
//		allow file <path>        # one address or prefix a line, # begins a comment
//		deny  <prefixes...>
//		deny  file <path>
//		mode  enforce | dry_run
//	}
//
// Lines may be repeated. A denied address is refused whatever allows it. With any
// allow, also from an empty file, everyone else is refused. IPv4 addresses in
// IPv6 form are judged as IPv4. Files are read when the configuration is loaded,
// and again at each reload; a file that is missing or has a bad line refuses the
// configuration.
//
// It fails closed: 403 allowlist.denied or allowlist.not_allowed, and 400
// client.address_unknown where the balancer's header establishes no client.
package allowlist
