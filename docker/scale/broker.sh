#!/bin/sh
# Runs one node of the broker cluster in the foreground.
#   ROOMTONE_NODE           name or address of this node, by which the other one reaches it
#   ROOMTONE_FIRST          the node that it joins; empty for the first one
#   ROOMTONE_CERTIFICATE    file: certificate and private key for devices, PEM
#   ROOMTONE_HUB_PASSWORD   of the user `hub`: recorders and dashboards
#   ROOMTONE_COOKIE         the secret of the cluster, the same for all of its nodes
set -eu
first=${ROOMTONE_FIRST:-}
cookie=/var/lib/ejabberd/.erlang.cookie
install -d -o ejabberd -g ejabberd /run/ejabberd /var/lib/ejabberd
rm -f "$cookie"
printf %s "$ROOMTONE_COOKIE" >"$cookie"
chown ejabberd: "$cookie"
chmod 400 "$cookie"
install -o ejabberd -m 0400 "$ROOMTONE_CERTIFICATE" /etc/ejabberd/broker.pem
# It would tell the service manager of its start, and end where there is none.
ctl() { env -u NOTIFY_SOCKET ejabberdctl --node "ejabberd@$ROOMTONE_NODE" "$@"; }
is_member() { ctl list_cluster | grep -q "ejabberd@$first\b"; }
wait_until_started() { until ctl status >/dev/null 2>&1; do sleep 1; done; }

ctl foreground &
ejabberd=$!
trap 'ctl stop; wait $ejabberd' TERM INT
wait_until_started
if [ -n "$first" ] && ! is_member; then
  # It leaves by itself and starts again: until then it answers as a node of its own.
  until ctl join_cluster "ejabberd@$first"; do sleep 1; done
  until is_member; do sleep 1; done
  sleep 5
  wait_until_started
fi
# The nodes share their users.
[ -n "$first" ] || ctl register hub localhost "$ROOMTONE_HUB_PASSWORD" ||
  ctl change_password hub localhost "$ROOMTONE_HUB_PASSWORD"
echo "broker $ROOMTONE_NODE is ready"
wait $ejabberd
