#!/bin/sh
# Puts a release into the machine that becomes the snapshot. Nothing is started: machines do that with their secrets.
set -eu
echo "$BINARY_SHA256  /tmp/caddy" | sha256sum -c -

id -u sallyport >/dev/null 2>&1 || useradd --system --no-create-home --shell /usr/sbin/nologin sallyport
install -d -m 0755 "$RELEASE_DIR"
install -m 0555 /tmp/caddy "$RELEASE_DIR/caddy"
cp -R /tmp/policy/. "$RELEASE_DIR/"
chmod -R a=rX,u+w "$RELEASE_DIR"
chmod 0555 "$RELEASE_DIR/caddy"

cd "$RELEASE_DIR"
./caddy sallyport lint --config Caddyfile
test "$(./caddy sallyport digest --config Caddyfile)" = "$POLICY_DIGEST"
echo "$POLICY_DIGEST" >DIGEST

ln -sfn "$RELEASE_DIR" /opt/sallyport/current
install -m 0644 /tmp/sallyport.service /etc/systemd/system/sallyport.service
systemctl daemon-reload
rm -rf /tmp/caddy /tmp/policy /tmp/sallyport.service
