#!/bin/sh
# Puts a release in force on this machine, and the one before back if it does not get ready. One machine after the other:
# the balancer sends what comes meanwhile to the others.
#
#   switch.sh RELEASE     the directory of that name in /opt/sallyport/releases
#   switch.sh --back      the release that was in force before
set -eu

root=${SALLYPORT_ROOT:-/opt/sallyport}
ready=${SALLYPORT_READY:-http://127.0.0.1:8081/readyz}
patience=${SALLYPORT_PATIENCE:-60}

[ $# -eq 1 ] || { echo "usage: $0 RELEASE | --back" >&2; exit 2; }
before=$(readlink "$root/current" || true)
if [ "$1" = --back ]; then
	next=$(readlink "$root/previous") || { echo "$0: there is no release before" >&2; exit 2; }
else
	next=releases/$1
fi
case $next in
releases/.* | releases/*/* | releases/) echo "$0: $1 is no name of a release" >&2; exit 2 ;;
esac
for file in caddy Caddyfile; do
	[ -f "$root/$next/$file" ] || { echo "$0: $root/$next has no $file" >&2; exit 2; }
done
[ "$next" != "$before" ] || { echo "$0: $next is in force already" >&2; exit 2; }

# point NAME TARGET changes a link in one step: nobody sees it missing.
point() {
	ln -sfn "$2" "$root/.$1.$$"
	mv -fT "$root/.$1.$$" "$root/$1"
}

# start restarts the gateway, whose stop waits for what is under way, and waits until it is ready.
start() {
	systemctl restart sallyport || return 1
	tries=$patience
	until curl -fsS -o /dev/null --max-time 2 "$ready" 2>/dev/null; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || return 1
		sleep 1
	done
}

point current "$next"
if start; then
	[ -z "$before" ] || point previous "$before"
	echo "$next is in force"
	exit 0
fi
echo "$0: $next does not get ready" >&2
[ -n "$before" ] || exit 1
point current "$before"
start || { echo "$0: $before does not get ready either" >&2; exit 1; }
echo "$0: $before is in force again" >&2
exit 1
