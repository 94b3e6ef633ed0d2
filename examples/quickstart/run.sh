#!/bin/sh
# Starts the quickstart from the repository's folder: makes its keys, prints what to try, and runs until Ctrl-C.
set -eu
./examples/quickstart/prepare.sh
echo "The gateway runs on http://localhost:8080, the API behind it on :8081, health and metrics on :8082."
echo "In another terminal, in this folder, paste:"
# What there is to try stands in README, between these two lines.
sed -n '/^<!-- quickstart -->$/,/^<!-- end of quickstart -->$/p' README.md | grep -v '^<!--\|^```'
exec build/caddy run --config examples/quickstart/Caddyfile
