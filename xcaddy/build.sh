#!/bin/sh
# Builds the gateway so that the same commit is the same bytes, wherever and by whomever it is built, and prints their
# SHA-256. What a build would take from its surroundings is set here: the compiler, its flags, the paths in the binary.
#
#   xcaddy/build.sh [FILE]      default build/caddy
#
# GOOS and GOARCH choose another platform, as in go build.
set -eu

# The compiler is part of what makes the bytes. Another one that is installed fetches this one, checked against Go's
# checksum database; without a network the build ends here.
toolchain=go1.26.8

repository=$(cd "$(dirname "$0")/.." && pwd)
file=${1:-$repository/build/caddy}
case $file in
/*) ;;
*) file=$PWD/$file ;;
esac

# Where modules come from and are kept stays the caller's; every other setting of `go env -w` is out.
for name in GOPROXY GOSUMDB GOPRIVATE GONOPROXY GONOSUMDB GOMODCACHE GOCACHE; do
	export "$name=$(go env "$name")"
done
export GOENV=off GOFLAGS=-mod=readonly GOWORK=off CGO_ENABLED=0 GOTOOLCHAIN=$toolchain
unset GOEXPERIMENT GOAMD64 GOARM64 GOFIPS140 GOROOT

cd "$repository"
version=$(go env GOVERSION) || version=none
if [ "$version" != "$toolchain" ]; then
	echo "$0: the compiler is $version, and has to be $toolchain" >&2
	exit 1
fi
go build -trimpath -buildvcs=false -tags nobadger,nomysql,nopgx -ldflags '-w -s -buildid=' -o "$file" ./xcaddy
sha256sum "$file"
