#!/usr/bin/env bash
# Makes this computer a Roomtone hub: broker, recorder, pages and TLS proxy as services, each with a user of its own.
# Run again it brings the program up to date; the site, the database and the configuration stay.
set -euo pipefail
SRC=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
OPT=/opt/roomtone-hub DATA=/var/lib/roomtone-hub ETC=/etc/roomtone-hub UNITS=/etc/systemd/system
# Also where the program that runs does not end by Ctrl-C (apt while it unpacks): right after that.
trap 'trap - INT; kill -INT $$' INT
SERVICES=(roomtone-{broker,recorder,dashboard,proxy}.service)

help() {
  cat <<'EOF'
usage: sudo provisioning/hub/install.sh --host NAME [--host NAME]...

  --host NAME     name or address by which devices and browsers reach this machine; the first is the main one
  --uninstall     stop and remove the services and the program; /var/lib/roomtone-hub stays

example:
  sudo provisioning/hub/install.sh --host hub.local --host 192.168.1.10
EOF
}
say() { printf '==> %s\n' "$*" >&2; }
die() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }

hosts=() uninstall=0
while [ $# -gt 0 ]; do
  case $1 in
    --host) hosts+=("${2:?--host needs a value}") && shift ;;
    --uninstall) uninstall=1 ;;
    -h | --help) help && exit ;;
    *) help >&2 && die "no option '$1'" ;;
  esac
  shift
done
[ "$(id -u)" -eq 0 ] || die "this needs root: sudo $0 (with the same options)"
[ -d /run/systemd/system ] || die "systemd does not run here; \`./run hub\` and docker/compose.yaml need none"
if [ $uninstall -eq 1 ]; then
  systemctl -q disable --now "${SERVICES[@]}" || true
  rm -rf "${SERVICES[@]/#/$UNITS/}" "$OPT" "$ETC" /etc/sysusers.d/roomtone-hub.conf
  systemctl daemon-reload
  say "the services are gone; $DATA is still there"
  exit
fi
[ ${#hosts[@]} -gt 0 ] || [ -e "$ETC/proxy.env" ] || die "how is this machine reached? give --host NAME (--help)"

# Each port with the services that may have it: ours, when this is an upgrade, and Debian's, which is stopped below.
for entry in 80:proxy:caddy 443:proxy:caddy 8080:dashboard:none 8883:broker:mosquitto; do
  IFS=: read -r port own debian <<<"$entry"
  ! systemctl -q is-active "roomtone-$own.service" "$debian.service" || continue
  ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null ||
    die "port $port is in use by another program: stop it (a \`./run hub\` of this computer?), then repeat this command"
done

say "Debian packages"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends python3-venv mosquitto caddy >/dev/null
# Debian starts both as they come; this hub has services of its own.
systemctl -q disable --now mosquitto.service caddy.service || true

say "users and folders"
install -D -m 644 "$SRC/provisioning/hub/systemd/roomtone-hub.sysusers" /etc/sysusers.d/roomtone-hub.conf
systemd-sysusers roomtone-hub.conf
install -d -m 751 "$DATA"
install -d -m 700 -o roomtone-hub -g roomtone-hub "$DATA"/{data,dashboard,recorder,updates}
install -d -m 700 -o roomtone-broker -g roomtone-broker "$DATA"/{broker,broker-data}
install -d -m 700 -o roomtone-proxy -g roomtone-proxy "$DATA/proxy"
install -d -m 755 "$ETC"

say "the program, in $OPT"
# pip runs as a user who owns nothing but the folder that it fills; every file is checked by its hash.
# What an earlier run left is root's, which that user could not clear.
rm -rf "$OPT"
install -d -m 755 -o roomtone-hub -g roomtone-hub "$OPT"
scratch=$(mktemp -d) && trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/source"
(cd "$SRC" && cp -rL edge dashboard provisioning training models pyproject.toml README.md LICENSE NOTICE "$scratch/source")
chown -R roomtone-hub: "$scratch"
as_user() { (cd "$scratch" && runuser -u roomtone-hub -- env HOME="$scratch" PIP_CONFIG_FILE="${PIP_CONFIG_FILE:-}" PIP_CERT="${PIP_CERT:-}" "$@"); }
pip=("$OPT/bin/pip" --disable-pip-version-check -q)
as_user /usr/bin/python3 -m venv "$OPT"
as_user "${pip[@]}" install --require-hashes -r "$scratch/source/provisioning/requirements/hub.txt" || die "pip failed; see above"
as_user "${pip[@]}" install --require-hashes -r "$scratch/source/provisioning/requirements/build.txt" --target "$scratch/tools"
for folder in "$scratch/source" "$scratch/source/models"; do
  as_user env PYTHONPATH="$scratch/tools" "${pip[@]}" wheel --no-deps --no-build-isolation -w "$scratch/wheels" "$folder"
done
as_user "${pip[@]}" install --no-deps --no-index "$scratch"/wheels/roomtone*.whl
chown -R root:root "$OPT"
install -D -m 644 "$SRC/provisioning/hub/Caddyfile" "$OPT/share/Caddyfile"
ln -sfn "$OPT/bin/roomtone" /usr/local/bin/roomtone-hub

say "the site, and the certificates of the hub's programs"
names=() && for host in "${hosts[@]}"; do names+=(--host "$host"); done
"$OPT/bin/roomtone" hub setup --dir "$DATA" --owner roomtone-broker --own-broker 127.0.0.1 \
  --proxy-data "$DATA/proxy/caddy" "${names[@]}"
chown -R roomtone-hub: "$DATA"/{dashboard,recorder}
chown -R roomtone-proxy: "$DATA/proxy"
if [ ${#hosts[@]} -gt 0 ]; then
  addresses=$(printf ', https://%s' "${hosts[@]}" localhost 127.0.0.1)
  printf 'ROOMTONE_HOSTS=%s\nROOMTONE_DEFAULT_SNI=%s\n' "${addresses:2}" "${hosts[0]}" >"$ETC/proxy.env"
fi

say "the services"
install -m 644 "${SERVICES[@]/#/$SRC/provisioning/hub/systemd/}" "$UNITS/"
systemctl daemon-reload
systemctl -q enable "${SERVICES[@]}"
systemctl restart "${SERVICES[@]}"
sleep 5
systemctl is-active "${SERVICES[@]}" >/dev/null || die "not all services run: systemctl status ${SERVICES[*]}"
# A service that is active may be one whose broker does not start: it has to show the rights of this site.
"$OPT/bin/roomtone" fleet --site "$DATA/site" deploy || die "the broker does not work: journalctl -u roomtone-broker.service"
# What the pages have said since this start: a password that was shown before is not shown again.
pages() { journalctl -o cat --no-pager "_SYSTEMD_INVOCATION_ID=$(systemctl show -P InvocationID roomtone-dashboard.service)"; }
end=$((SECONDS + 60))
until pages | grep '^ready ' >/dev/null; do
  [ $SECONDS -lt $end ] || die "the pages do not answer: journalctl -u roomtone-dashboard.service"
  sleep 0.5
done
pages | grep -m 1 'with the password' || true
say "https://$(sed -n 's/^ROOMTONE_DEFAULT_SNI=//p' "$ETC/proxy.env")/; a device: sudo roomtone-hub fleet --site $DATA/site enrol kitchen"
