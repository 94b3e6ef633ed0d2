#!/bin/sh
# Makes what the quickstart needs in build/quickstart, and prints what to try. Run it from the repository's folder; it
# keeps what is there already.
set -eu
caddy=${CADDY:-build/caddy}
dir=build/quickstart
mkdir -p "$dir"
umask 077

if [ ! -s "$dir/pepper" ]; then
	head -c 32 /dev/urandom | base64 >"$dir/pepper"
	rm -f "$dir/keys.json"
fi
if [ ! -s "$dir/issuer.pem" ]; then
	"$caddy" sallyport token keygen --algorithm ES256 --out "$dir/issuer.pem" --public "$dir/issuer.pub.pem"
fi
if [ ! -s "$dir/keys.json" ] || [ ! -s "$dir/key" ]; then
	rm -f "$dir/keys.json"
	"$caddy" sallyport key create --file "$dir/keys.json" --pepper-file "$dir/pepper" \
		--owner acme --scope orders:read --expires 30d >"$dir/key" 2>"$dir/key.log" || { cat "$dir/key.log" >&2; exit 1; }
fi
