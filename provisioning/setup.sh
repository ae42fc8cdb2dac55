#!/usr/bin/env bash
# Debian packages and the virtual environment of a checkout, for `run` (which sets ROOT and VENV and sources this).
# Every function looks at what is there first, and completes what an interrupted one left half done.

say() { printf '%s\n' "$*" >&2; }
die() { say "run: $*"; exit 2; }
offline() {
  die "this machine seems to be offline: $1 not reached (a device without a network is installed from a folder:
     provisioning/bundle-offline)"
}

# Ctrl-C ends this script also where the program that runs does not end by it (apt while it unpacks): right after that.
log=
trap 'rm -f "$log"; trap - INT; kill -INT $$' INT

# Servers that Debian's packages start by themselves: `package:units`. They were not asked for here.
readonly SERVICES=("mosquitto:mosquitto" "caddy:caddy" "postgresql:postgresql" "docker.io:docker docker.socket containerd")
# Services to switch off, noted before apt starts them, so that an interrupted run is made good by the next.
readonly TO_STOP="$VENV.services"

installed() { [[ $(dpkg-query -W -f='${Status}' "$1" 2>/dev/null) == *"ok installed" ]]; }

# Runs a command as root: with sudo where this is an ordinary user.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Updates the lists of packages once if they are older than a day or absent: they may name files that are gone.
# `apt-get update` ends with 0 when it reaches nothing; whether it did is in $lists_failed.
lists_checked='' lists_failed=''
apt_refresh() {
  [ -z "$lists_checked" ] || return 0
  lists_checked=1
  local fresh
  fresh=$(find /var/lib/apt/lists -maxdepth 1 -name '*Packages*' -mtime -1 -print -quit 2>/dev/null || true)
  [ -z "$fresh" ] || return 0
  can_be_root || return 0
  say "==> reading Debian's lists of packages"
  apt_run apt-get update -qq --error-on=any || lists_failed=1
}

# Whether this account may become root at all.
can_be_root() { [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null; }

# Whether Debian has a package. (Not `apt-cache policy | grep -q`: grep ends first, and pipefail counts SIGPIPE.)
apt_has() {
  apt_refresh
  local policy
  policy=$(apt-cache policy "$1" 2>/dev/null || true)
  [[ $policy =~ Candidate:\ [0-9] ]]
}

# Runs apt or dpkg as root without questions; the end of what it says is in $apt_said.
apt_said=
apt_run() {
  local status=0
  # A file and no pipe: what a package starts keeps it open.
  log=$(mktemp)
  as_root env DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes DEBCONF_NONINTERACTIVE_SEEN=true LC_ALL=C.UTF-8 \
    "$@" >"$log" 2>&1 </dev/null || status=$?
  apt_said=$(tail -n 5 "$log")
  rm -f "$log"
  return "$status"
}

# Installs the Debian packages of its arguments that are missing, and says which.
apt_need() {
  local package missing=() wanted
  command -v dpkg-query >/dev/null || die "this is not Debian, Ubuntu or Raspberry Pi OS; install the equivalents of: $*"
  stop_services
  for package in $(printf '%s\n' "$@" | sort -u); do installed "$package" || missing+=("$package"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  can_be_root || die "these packages are missing and there is no sudo; as root: apt install ${missing[*]}"
  if [ "$(id -u)" -ne 0 ] && ! sudo -n true 2>/dev/null && [ ! -t 0 ]; then
    die "these packages are missing, and sudo cannot ask for a password here; first: sudo apt install ${missing[*]}"
  fi
  apt_refresh
  say "==> installing Debian packages$([ "$(id -u)" -eq 0 ] || echo ' with sudo'): ${missing[*]}"
  note_services "${missing[@]}"
  # What an interrupted installation left half done; without this apt refuses every other one.
  if [ -n "$(dpkg --audit 2>/dev/null)" ] || [ -n "$(ls -A /var/lib/dpkg/updates 2>/dev/null)" ]; then
    say "==> another installation is unfinished: waiting for it, or completing it"
    apt_run dpkg --configure -a || true
    apt_run apt-get install -y -qq -f || true
  fi
  wanted=(apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "${missing[@]}")
  if ! apt_run "${wanted[@]}"; then
    say "$apt_said"
    [ -z "$lists_failed" ] || offline "Debian's servers were"
    die "apt-get could not install these packages; see above"
  fi
  stop_services
}

# Notes which services the packages of its arguments would start.
note_services() {
  local entry package
  for entry in "${SERVICES[@]}"; do
    for package in "$@"; do
      # What was enabled before, by whatever package, is not ours to stop.
      [ "$package" != "${entry%%:*}" ] || echo "${entry#*:}" >>"$TO_STOP"
    done
  done
}

# Stops and disables a service, with systemd as PID 1 or without; fails where there is no such service.
switch_off() {
  if [ -d /run/systemd/system ]; then
    as_root systemctl -q disable --now "$1" >/dev/null 2>&1
  elif [ -x "/etc/init.d/$1" ]; then
    as_root service "$1" stop >/dev/null 2>&1 || true
    as_root update-rc.d "$1" disable >/dev/null 2>&1 || true
  else
    return 1
  fi
}

# Switches off the services that were noted, and says which.
stop_services() {
  [ -s "$TO_STOP" ] || return 0
  local unit stopped=()
  while read -r -a units; do
    for unit in "${units[@]}"; do
      switch_off "$unit" && stopped+=("$unit")
    done
  done <"$TO_STOP"
  rm -f "$TO_STOP"
  [ ${#stopped[@]} -eq 0 ] ||
    say "==> not left running, as no server was asked for: ${stopped[*]} (to have one: sudo systemctl enable --now NAME)"
}

# The versions with which the tests ran.
readonly CONSTRAINTS="$ROOT/provisioning/requirements/constraints.txt"
readonly DEBIANS_PYTHON=(python3 python3-venv python3-pyaudio)

# Prints a Python that fits: 3.11 to 3.14; nothing: there is none yet.
find_python() {
  local candidate
  for candidate in ${ROOMTONE_PYTHON:-} python3 python3.13 python3.12 python3.11 python3.14 /usr/bin/python3; do
    if "$candidate" -B -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; then
      "$candidate" -B -c 'import sys; print(sys.executable)'
      return
    fi
  done
}

# Whether this Python is Debian's own, for which Debian has a PyAudio that needs no compiler.
is_debians() { [[ -n $1 && $(readlink -f "$1") == $(readlink -f /usr/bin/python3) ]]; }

# The Debian packages of every environment.
python_packages() {
  local python
  python=$(find_python)
  if [ -z "$python" ] || is_debians "$python"; then echo "${DEBIANS_PYTHON[@]}"; else
    # PyAudio has no wheels: another Python compiles it.
    echo python3-dev gcc portaudio19-dev
  fi
}

# environment EXTRAS GROUP...: a virtual environment with this checkout and those parts, renewed when they changed.
environment() {
  local extras=$1 python group stamp groups=()
  shift
  python=$(find_python)
  [ -n "$python" ] || die "no Python 3.11 to 3.14 here; Debian 12 and newer have one: apt install python3"
  for group in "$@"; do groups+=(--group "$group"); done
  stamp="$VENV/.installed-$(printf '%s' "$extras $* $(cat "$ROOT/pyproject.toml" "$CONSTRAINTS")" | sha256sum | cut -c1-16)"
  venv_works || make_venv "$python"
  [ ! -e "$stamp" ] || return 0
  say "==> installing Python packages: roomtone[$extras] $* (one to three minutes)"
  if ! pip_install "$extras" "${groups[@]}"; then
    # A package that was interrupted while it was written cannot be replaced by pip.
    say "==> once more, in a new environment"
    make_venv "$python"
    pip_install "$extras" "${groups[@]}" || die "pip could not install the packages; see above"
  fi
  compile_bytecode
  touch "$stamp"
}

# Compiles what pip has not: this checkout, and the standard library, whose byte code of Debian is not looked for where
# PYTHONPYCACHEPREFIX says. Else each process of a first start would do so by itself.
compile_bytecode() {
  local stdlib
  stdlib=$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
  PYTHONPYCACHEPREFIX="$VENV/pycache" "$VENV/bin/python" -m compileall -q -j 0 \
    -x "/(test|tests|idlelib|lib2to3|tkinter|turtledemo|ensurepip|dist-packages|site-packages)/" \
    "$ROOT"/{edge,dashboard,provisioning} "$stdlib" >/dev/null 2>&1 || true
}

# Whether the environment is whole and was made at this place: its programs have the path in them.
venv_works() {
  [ "$(cat "$VENV/.place" 2>/dev/null)" = "$ROOT $VENV" ] && "$VENV/bin/python" -m pip --version >/dev/null 2>&1
}

make_venv() {
  say "==> making a virtual environment in $VENV with $("$1" --version)"
  rm -rf "$VENV"
  "$1" -m venv "$VENV" || die "cannot make a virtual environment in $VENV; is the disk full, or the folder not yours?"
  if is_debians "$1"; then
    ln -s /usr/lib/python3/dist-packages/{pyaudio,[Pp]y[Aa]udio-*-info} "$(echo "$VENV"/lib/python3*/site-packages)/" 2>/dev/null || true
  fi
  printf '%s %s\n' "$ROOT" "$VENV" >"$VENV/.place"
}

# What pip says is shown only when it fails: it warns of what its users cannot change.
pip_install() {
  local extras=$1
  shift
  log=$(mktemp)
  if "$VENV/bin/python" -m pip install -q --upgrade 'pip>=25.1' >"$log" 2>&1 &&
    (cd "$ROOT" && "$VENV/bin/python" -m pip install -q -c "$CONSTRAINTS" -e ".[$extras]" "$@" >>"$log" 2>&1); then
    rm -f "$log"
    return 0
  fi
  tail -n 15 "$log" >&2
  if grep -qE 'NewConnectionError|NameResolutionError|name resolution|Network is unreachable' "$log"; then
    rm -f "$log"
    offline "the package index was"
  fi
  rm -f "$log"
  return 1
}
