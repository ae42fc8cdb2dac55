#!/usr/bin/env bash
# Makes this computer a Roomtone device; run again it upgrades or repairs. `--help` lists the options.
# Every step looks first at what is there: run twice, it changes nothing; interrupted, it continues where it was.
set -euo pipefail
SRC=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
OPT=/opt/roomtone ETC=/etc/roomtone UNITS=/etc/systemd/system
PACKAGES=(python3-venv python3-pyaudio)
# Also where the program that runs does not end by Ctrl-C (apt while it unpacks): right after that.
trap 'trap - INT; kill -INT $$' INT
OFFLINE="this device seems to be offline; provisioning/bundle-offline makes a folder for devices without a network"

help() {
  cat <<'EOF'
usage: sudo provisioning/install.sh [OPTIONS]

  --join FILE              the site that `roomtone fleet enrol` made this file for
  --code CODE              what `roomtone fleet enrol` showed with it (the first file of a site needs it; default: asked for)
  --key FILE               the private key, where it was made at this device (docs/fleet.md)
  --accept-unconfirmed     take the first file of a site without its code
  --new-site               the device belongs to another site already, and changes over to that of the join file
  --broker URL             any broker: mqtts://USER@HOST, mqtt://HOST:PORT; the password is asked for. Given again: further
                           nodes of the same cluster, for when this one fails
  --password-file FILE     its first line is the broker's password
  --ca FILE                who signed the broker's certificate (PEM), where the system does not know it
  --node ID                stable name in every topic: a-z, 0-9, _ and - (default: the host name)
  --name TEXT              what people call the room
  --wait SECONDS           how long to wait for the first utterance at the end (default 60; 0: not at all)
  --gpio                   also what a mute button at the pins needs
  --sound-server           also what reaches a PulseAudio or PipeWire of a desktop (libasound2-plugins, which brings
                           98 other packages); without it the ear opens the microphone by ALSA
  --wheels DIR             the folder with roomtone-*.whl and roomtone_models-*.whl, in place of a checkout

Run it again without options to upgrade or repair: configuration and state stay. Without a network it installs
from a folder that provisioning/bundle-offline made. provisioning/uninstall.sh removes everything.

examples:
  sudo provisioning/install.sh --join kitchen.join --code ABCDE-FGHIJ-KLMNO --name Kitchen
  sudo provisioning/install.sh --broker mqtts://roomtone@homeassistant.local --node kitchen
EOF
}

say() { printf '==> %s\n' "$*" >&2; }
die() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }

# put SOURCE TARGET: copies a file where it differs; the target is always whole.
put() {
  cmp -s "$1" "$2" && return
  install -D -m 644 "$1" "$2.new"
  mv "$2.new" "$2"
  say "wrote $2"
}

# units_in FOLDER...: names of a device's units in these folders, without their drop-ins; a hub's units are not ours.
units_in() {
  find "$@" -maxdepth 1 -regextype egrep -regex '.*/(run-)?roomtone[^/]*\.(service|socket|path|mount)' ! -type d \
    ! -exec grep -qs roomtone-hub {} \; -printf '%f\n'
}

configure=() wait_s=60 gpio=0 wheels='' lock=device
while [ $# -gt 0 ]; do
  case $1 in
    --join | --key | --password-file | --ca)
      # Later steps run in another folder: a relative path is the caller's.
      [ -r "${2:?$1 needs a file}" ] || die "$1 $2: there is no such file in $PWD, or it cannot be read"
      configure+=("$1" "$(realpath "$2")") && shift
      ;;
    --new-site | --accept-unconfirmed) configure+=("$1") ;;
    --broker | --node | --name | --code) configure+=("$1" "${2:?$1 needs a value}") && shift ;;
    --wait) wait_s=${2:?--wait needs a value} && shift ;;
    --gpio) gpio=1 ;;
    --sound-server) PACKAGES+=(libasound2-plugins) ;;
    --wheels)
      wheels=$(realpath "${2:?--wheels needs a folder}") && shift
      found=("$wheels"/roomtone-*.whl "$wheels"/roomtone_models-*.whl)
      if [ ${#found[@]} -ne 2 ] || [ ! -e "${found[0]}" ] || [ ! -e "${found[1]}" ]; then
        die "--wheels $wheels: one roomtone-*.whl and one roomtone_models-*.whl have to be in it"
      fi
      ;;
    -h | --help) help && exit ;;
    *) help >&2 && die "no option '$1'" ;;
  esac
  shift
done
case $wait_s in '' | *[!0-9]*) die "--wait: a number of seconds" ;; esac

# --- 1. does it fit? ---
[ "$(id -u)" -eq 0 ] || die "this needs root: sudo $0 (with the same options)"
[ -d /run/systemd/system ] || die "systemd does not run here; without it run \`roomtone link\` and \`roomtone ear\` by hand (README.md)"
command -v dpkg >/dev/null || die "this is not Debian or Raspberry Pi OS"
exec 9>/run/roomtone-install.lock
flock -n 9 || die "another install.sh is running"
offline=$SRC/offline
if [ -d "$offline/wheels" ]; then
  (cd "$SRC" && sha256sum --quiet --strict -c SHA256SUMS >&2) || die "$SRC was damaged or changed on its way: copy it again"
fi
if [ -z "$wheels" ] && [ -d "$offline/wheels" ]; then wheels=$offline/wheels; fi
[ -n "$wheels" ] || [ -e "$SRC/pyproject.toml" ] ||
  die "this is not a checkout: name the folder with the wheels by --wheels DIR"
[ -f "$ETC/roomtone.toml" ] || [ ${#configure[@]} -gt 0 ] || die "where is the broker? give --join FILE or --broker URL (--help)"

# --- 2. Debian packages ---
missing=()
for package in "${PACKAGES[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
export DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes
# What an install left half-done that was killed in the middle; without this apt refuses every other one.
[ ${#missing[@]} -eq 0 ] || dpkg --configure -a >/dev/null 2>&1 || true
if [ ${#missing[@]} -gt 0 ] && [ -d "$offline/debs" ]; then
  say "installing from $offline/debs: ${missing[*]}"
  files=()
  for file in "$offline"/debs/*.deb; do
    dpkg-query -W -f='${Status}' "$(dpkg-deb -f "$file" Package)" 2>/dev/null | grep -q 'ok installed' || files+=("$file")
  done
  apt-get install -y -qq -f --no-install-recommends -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts=/dev/null "${files[@]}" >/dev/null ||
    die "these packages do not fit this system; make the folder on one like this: provisioning/bundle-offline"
elif [ ${#missing[@]} -gt 0 ]; then
  say "installing Debian packages: ${missing[*]}"
  # `apt-get update` ends with 0 when it reaches nothing.
  reached=1
  apt-get update -qq --error-on=any >/dev/null 2>&1 || reached=0
  log=$(mktemp)
  if ! apt-get install -y -qq -f --no-install-recommends -o DPkg::Lock::Timeout=300 "${missing[@]}" >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    [ $reached -eq 1 ] || die "$OFFLINE"
    die "apt-get could not install these packages; see above"
  fi
  rm -f "$log"
fi
python=/usr/bin/python3
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' || die "Python 3.11 to 3.14 is needed"
case $(dpkg --print-architecture) in
  arm64 | amd64) ;;
  armhf) lock=device-armhf ;;
  *) die "$(dpkg --print-architecture) is not supported: arm64, amd64, or armhf with Debian 12" ;;
esac

# --- 3. users and folders ---
put "$SRC/provisioning/systemd/roomtone.sysusers" /etc/sysusers.d/roomtone.conf
put "$SRC/provisioning/systemd/roomtone.tmpfiles" /etc/tmpfiles.d/roomtone.conf
systemd-sysusers roomtone.conf
systemd-tmpfiles --create roomtone.conf
install -d -m 755 "$OPT/versions" "$ETC"
install -d -m 700 "$ETC/credentials"

# --- 4. this version, in a folder of its own; nothing that runs is touched ---
# Of the code a device gets what it runs: no dashboard, no training, no keys of a site.
parts=(edge provisioning/{__init__.py,device,systemd,requirements,install.sh,uninstall.sh,notice.txt} pyproject.toml README.md LICENSE NOTICE)
if [ -n "$wheels" ]; then version=$(basename "$wheels"/roomtone-*.whl | cut -d- -f2); else
  version=$(sed -n 's/^VERSION = "\(.*\)"/\1/p' "$SRC/edge/util/version.py")
fi
id=$({
  if [ -n "$wheels" ]; then sha256sum "$wheels"/roomtone{,_models}-*.whl | cut -d' ' -f1; else
    cd "$SRC"
    find "${parts[@]}" models -type f ! -path '*/__pycache__/*' ! -path '*.egg-info/*' -print0 | sort -z | xargs -0 sha256sum
  fi
  "$python" -V
  echo "$lock $gpio"
} | sha256sum | cut -c1-12)
new=$OPT/versions/$version-$id
works() { # whether the version in folder $1 can do its work, tried as the user who will
  [ -e "$1/.complete" ] && (cd / && runuser -u roomtone-ear -- "$1/bin/roomtone" doctor --only model >/dev/null) &&
    runuser -u roomtone-ear -- "$1/bin/python" -c 'import pyaudio, paho.mqtt.client, soxr' 2>/dev/null
}

# pip, and what it builds, runs as a user who owns nothing but the folder that it fills and the one it works in.
as_builder() { (cd "$scratch" && runuser -u roomtone-build -- env HOME="$scratch" "$@"); }
pip_install() {
  local said
  said=$(as_builder "$new/bin/pip" --disable-pip-version-check install -q --no-cache-dir "$@" 2>&1) && return
  tail -n 8 <<<"$said" >&2
  [[ ! $said =~ NewConnectionError|NameResolutionError|"name resolution"|"Network is unreachable" ]] || die "$OFFLINE"
  die "pip failed; see above, and run this again"
}
# build_wheels: the two wheels of this checkout, by the tool whose hash is known.
build_wheels() {
  pip_install --require-hashes -r requirements/build.txt --target "$scratch/tools"
  for folder in source source/models; do
    as_builder env PYTHONPATH="$scratch/tools" "$new/bin/pip" --disable-pip-version-check wheel -q --no-deps --no-build-isolation -w "$scratch/own" "$scratch/$folder" ||
      die "the package could not be built; see above"
  done
}
rm -rf "$OPT"/build.* # of a run that was killed
if ! works "$new"; then
  say "installing $new"
  rm -rf "$new"
  install -d -m 755 -o roomtone-build -g roomtone-build "$new"
  # Beside the versions: /tmp is in the memory of some systems.
  scratch=$(mktemp -d "$OPT/build.XXXXXX") && trap 'rm -rf "$scratch"' EXIT
  mkdir "$scratch"/{own,offline}
  cp -r "$SRC/provisioning/requirements" "$scratch/"
  if [ -n "$wheels" ]; then cp "$wheels"/roomtone{,_models}-*.whl "$scratch/own/"; else
    mkdir -p "$scratch/source/provisioning" "$scratch/tools"
    (cd "$SRC" && cp -rL --parents "${parts[@]}" models "$scratch/source")
  fi
  [ ! -d "$offline/wheels" ] || cp "$offline"/wheels/*.whl "$scratch/offline/"
  chown -R roomtone-build:roomtone-build "$scratch"
  as_builder "$python" -m venv "$new"
  locks=("requirements/$lock.txt")
  [ $gpio -eq 0 ] || locks+=("requirements/gpio.txt")
  if [ -d "$offline/wheels" ]; then
    # What bundle-offline compiled has a hash of its own; it checked what it compiled from.
    (cd "$scratch" && sed '/^ *--hash/d; s/ *\\$//' "${locks[@]}" >names)
    pip_install --no-index --find-links offline -r names
  else
    pip_install --require-hashes "${locks[@]/#/-r}"
  fi
  [ -n "$wheels" ] || build_wheels
  pip_install --no-deps --no-index "$scratch"/own/roomtone{,_models}-*.whl
  rm -rf "$scratch" && trap - EXIT
  chown -R root:root "$new"
  # Debian's PyAudio, so that no compiler is needed here.
  ln -s /usr/lib/python3/dist-packages/{pyaudio,[Pp]y[Aa]udio-*-info} "$(echo "$new"/lib/python3*/site-packages)/"
  # A wheel has all parts.
  site=$(echo "$new"/lib/python3*/site-packages)
  rm -rf "$site"/{dashboard,training} "$site"/provisioning/{demo,fleet,hub,publish}
  install -d "$new/share/roomtone"
  cp -r "$SRC/provisioning/systemd" "$new/share/roomtone/"
  chmod -R go+rX "$new"
  touch "$new/.complete"
  works "$new" || { rm -f "$new/.complete" && die "what was installed does not work ($new/bin/roomtone doctor); what ran before still runs"; }
fi

# --- 5. configuration: an existing one is changed where an option asks for it, or a key has another name now ---
worked=$OPT/configuration # the configuration with which the broker was reached last
restore_configuration() {
  rm -rf "$ETC/credentials"
  cp -a "$worked/credentials" "$ETC/credentials"
  cp -a "$worked/roomtone.toml" "$ETC/roomtone.toml.new"
  mv "$ETC/roomtone.toml.new" "$ETC/roomtone.toml"
}
backup=$ETC/roomtone.toml.before-${new##*/}
(cd / && "$new/bin/python" -m provisioning.device configure --backup "$backup" \
  --config "$ETC/roomtone.toml" --credentials "$ETC/credentials" "${configure[@]}") || exit 2

# --- 6. switch over, and back if the new version does not come up ---
good=$OPT/running # the version that came up last, and what it came up with
activate() { # makes version folder $1 the one that runs, and waits until it does
  local unit restarts stamp services=()
  # Units of this version and of those before it: what a version does not have any more is removed.
  for unit in $(units_in "$1/share/roomtone/systemd" "$UNITS" | sort -u); do
    if [ -e "$1/share/roomtone/systemd/$unit" ]; then
      put "$1/share/roomtone/systemd/$unit" "$UNITS/$unit" || return 1
      case $unit in *@* | *-save.service) ;; *) services+=("$unit") ;; esac
    elif [ -e "$UNITS/$unit" ]; then
      case $unit in *@*) ;; *) systemctl -q disable --now "$unit" || true ;; esac
      rm -rf "${UNITS:?}/$unit" "${UNITS:?}/$unit.d"
      say "removed $UNITS/$unit"
    fi
  done
  if [ -e "$1/share/roomtone/systemd/journald@roomtone-ear.conf" ]; then
    put "$1/share/roomtone/systemd/journald@roomtone-ear.conf" /etc/systemd/journald@roomtone-ear.conf || return 1
  fi
  (cd / && "$1/bin/python" -m provisioning.device dropins --config "$ETC/roomtone.toml" --units "$UNITS")
  if [ "$(readlink "$OPT/current" || true)" != "$1" ]; then
    ln -sfn "$1" "$OPT/current.new"
    mv -T "$OPT/current.new" "$OPT/current"
    say "$OPT/current is $1"
  fi
  ln -sfn "$OPT/current/bin/roomtone" /usr/local/bin/roomtone
  stamp=$(cat "$UNITS"/roomtone-* "$UNITS"/roomtone-*.d/* "$ETC/roomtone.toml" "$ETC"/credentials/* 2>/dev/null | sha256sum)
  if systemctl -q is-active "${services[@]}" && [ "$(cat "$good" 2>/dev/null)" = "$1"$'\n'"$stamp" ]; then
    say "nothing had to be changed"
    return 0
  fi
  systemctl daemon-reload
  systemctl -q enable "${services[@]}" || return 1
  systemctl restart "${services[@]}" || return 1
  restarts=$(systemctl show -P NRestarts roomtone-ear.service roomtone-link.service | xargs)
  sleep 3
  systemctl -q is-active "${services[@]}" || return 1
  [ "$restarts" = "$(systemctl show -P NRestarts roomtone-ear.service roomtone-link.service | xargs)" ] || return 1
  printf '%s\n%s\n' "$1" "$stamp" > "$good.new"
  mv "$good.new" "$good"
}
old=$(head -n 1 "$good" 2>/dev/null || true)
if ! activate "$new"; then
  systemctl --no-pager -n 15 status roomtone-ear.service roomtone-link.service >&2 || true
  rm -f "$new/.complete"
  if [ -z "$old" ] || [ "$old" = "$new" ] || [ ! -d "$old" ]; then die "the services do not come up; see above, and run this again"; fi
  say "the new version does not come up: going back to $old"
  # The old version does not know the new names of keys.
  if [ -e "$backup" ]; then mv "$backup" "$ETC/roomtone.toml"; fi
  activate "$old" || die "neither does $old; see: journalctl --namespace=+roomtone-ear -u roomtone-ear -u roomtone-link"
  die "the new version does not come up; $old runs again"
fi
for folder in "$OPT"/versions/*; do [ "$folder" = "$new" ] || [ "$folder" = "$old" ] || rm -rf "$folder"; done

# --- 7. the notice for people in the room, and whether it works ---
room=$(cd / && "$new/bin/python" -c 'from edge.config.load import load; from edge.config.options import SYSTEM_CONFIG; node = load(SYSTEM_CONFIG).node; print(node.name or node.id)')
notice=$(<"$SRC/provisioning/notice.txt")
printf '\n%s\n\n' "${notice//\{room\}/"$room"}"
(cd / && roomtone doctor) || say "something is not right yet; the remedies are above"
refused=
(cd / && roomtone doctor --only link >/dev/null 2>&1) || refused=1
as_it_worked() { cmp -s "$worked/roomtone.toml" "$ETC/roomtone.toml" && diff -rq "$worked/credentials" "$ETC/credentials" >/dev/null; }
if [ -d "$worked" ] && as_it_worked; then
  : # it is what is kept already
elif [ -z "$refused" ]; then
  rm -rf "$worked.new"
  install -d -m 700 "$worked.new"
  cp -a "$ETC/roomtone.toml" "$ETC/credentials" "$worked.new/"
  rm -rf "$worked"
  mv "$worked.new" "$worked"
elif [ ${#configure[@]} -gt 0 ] && [ -d "$worked" ]; then
  # Only what was changed just now can be to blame.
  restore_configuration
  activate "$new" || true
  die "the broker cannot be used with these options (see above); the configuration that worked is back in place"
fi
status() { systemctl show -P StatusText roomtone-ear.service; } # "microphone: ok, 3 utterances"
heard() { status | sed -n 's/.*, \([1-9][0-9]* utterances.*\)/\1/p'; }
# still STATE SECONDS: whether the microphone is in this state for so long; a sound server or a USB device takes a moment.
still() {
  local end=$((SECONDS + $2))
  while [[ $(status) == "microphone: $1"* ]]; do
    [ $SECONDS -lt $end ] || return 0
    sleep 0.5
  done
  return 1
}
# wait_for_speech SECONDS: ends at once where no speech can be heard, however long one waits.
wait_for_speech() {
  local asked='' state end=$((SECONDS + $1))
  until [ -n "$(heard)" ] || [ $SECONDS -ge $end ]; do
    if still lost 3; then
      state=$(status)
      die "installed and running, but there is nothing to hear with: ${state%, * utterances}. The ear opens the microphone by itself as soon as it can; see: roomtone devices"
    elif still muted 0; then
      say "the microphone is muted, so no speech is heard: by sudo roomtone mute, a button, the broker or quiet hours"
      return
    fi
    [ -n "$asked" ] || say "please speak in the room (waiting up to $1 s)"
    asked=1
    sleep 0.5
  done
  state=$(status)
  [ -n "$(heard)" ] || die "nothing was heard (${state:-the ear is not ready: journalctl --namespace=+roomtone-ear -u roomtone-ear}); see: roomtone devices"
  say "it hears: $(heard)"
}
[ "$wait_s" -eq 0 ] || wait_for_speech "$wait_s"
[ -z "$refused" ] || die "installed and running, but the broker cannot be used yet (see above); change the options and run this again"
