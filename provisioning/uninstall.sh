#!/usr/bin/env bash
# Removes Roomtone from this computer. Asks before it removes configuration and state; `--help` lists the options.
set -euo pipefail

help() {
  cat <<'EOF'
usage: sudo provisioning/uninstall.sh [--keep | --purge]

Removes programs and units. Then it asks whether configuration (/etc/roomtone), state (/var/lib/roomtone) and users
are to be removed, too; --keep and --purge answer beforehand. Messages that the device retained at the broker are
removed first.
EOF
}

answer=
case ${1:-} in
  --keep) answer=n ;;
  --purge) answer=y ;;
  -h | --help) help && exit ;;
  '') ;;
  *) help >&2 && exit 2 ;;
esac
[ "$(id -u)" -eq 0 ] || { echo "uninstall.sh: this needs root: sudo $0" >&2 && exit 1; }
if [ -z "$answer" ]; then
  read -r -p "Remove configuration and waiting events (/etc/roomtone, /var/lib/roomtone), too? [y/N] " answer || answer=n
fi

# Retained messages are removed while the credentials are still there, by the link itself in its sandbox.
if [ "${answer,,}" = y ] && [ -x /opt/roomtone/current/bin/roomtone ] && systemctl -q is-active roomtone-link.service; then
  systemctl stop roomtone-ear.service roomtone-link.socket roomtone-link.service 2>/dev/null || true
  # Credentials have the unit's name in their path, and a passing unit cannot take the name of one that has a file.
  systemctl disable -q roomtone-link.service roomtone-link.socket 2>/dev/null || true
  rm -rf /etc/systemd/system/roomtone-link.{service,service.d,socket}
  systemctl daemon-reload
  # --collect: one that failed would stay, and the next installation could not enable its own unit of this name.
  systemd-run -q --collect --wait --pipe -p User=roomtone-link -p LoadCredential=site:/etc/roomtone/credentials --unit roomtone-link \
    timeout 20 /opt/roomtone/current/bin/roomtone link --config /etc/roomtone/roomtone.toml --forget ||
    echo "uninstall.sh: the broker was not reached: what the device retained there stays" >&2
fi
shopt -s nullglob
# Also what an earlier version has left. The state of the ear is saved before its memory goes.
units=()
for unit in /etc/systemd/system/roomtone-*.{path,socket,service} /etc/systemd/system/run-roomtone*.mount; do
  grep -qs roomtone-hub "$unit" || units+=("$unit") # a hub on this machine stays
done
for unit in "${units[@]}" systemd-journald@roomtone-ear.{socket,service}; do
  systemctl disable -q --now "${unit##*/}" 2>/dev/null || true
done
for unit in "${units[@]}"; do rm -rf "$unit" "$unit.d"; done
rm -rf /opt/roomtone /etc/systemd/system/roomtone-{ear,link,update@}.service.d
rm -f /usr/local/bin/roomtone /etc/tmpfiles.d/roomtone.conf /etc/systemd/journald@roomtone-ear.conf
systemctl daemon-reload
rm -rf /run/roomtone /run/roomtone/ear /run/roomtone-link /run/roomtone-install.lock
# The socket in it belongs to a sound server, which would not make it again.
[ ! -d /run/roomtone-sound ] || rmdir /run/roomtone-sound 2>/dev/null || echo "uninstall.sh: /run/roomtone-sound is in use and stays until the next boot" >&2
if [ "${answer,,}" = y ]; then
  rm -rf /etc/roomtone /var/lib/roomtone /etc/sysusers.d/roomtone.conf
  for user in roomtone-ear roomtone-link roomtone-update roomtone-build; do
    if id "$user" >/dev/null 2>&1; then userdel "$user" 2>/dev/null; fi
    if getent group "$user" >/dev/null; then groupdel "$user" 2>/dev/null; fi
  done
  echo "Roomtone was removed. Debian packages were kept: python3-venv python3-pyaudio"
else
  echo "Roomtone was removed; /etc/roomtone and /var/lib/roomtone were kept."
fi
