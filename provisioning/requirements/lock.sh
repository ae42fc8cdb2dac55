#!/usr/bin/env bash
# Writes the files of this folder anew from pyproject.toml, with the newest releases: `./run lock`. Needs uv (uv(1)).
#
# `constraints.txt` is what a checkout installs; the others are what devices and hubs install, with the hash of every
# file, and the same versions. None names an index: which one is asked is up to the machine.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
cd "$here/../.."
scratch=$(mktemp -d) && trap 'rm -rf "$scratch"' EXIT

# compile NAME OPTIONS...: one file, for every platform and Python from 3.11.
compile() {
  local name=$1
  shift
  uv pip compile -q --universal --python-version 3.11 --upgrade --no-header --no-annotate --no-emit-index-url \
    --no-emit-find-links -c "$scratch/limits" -o "$scratch/$name.txt" "$@"
  install -m 644 "$scratch/$name.txt" "$here/$name.txt"
  echo "wrote provisioning/requirements/$name.txt" >&2
}
# uv takes no notice of a release that is for older Pythons only, and pip refuses it.
echo 'backports-strenum<1.3' >"$scratch/limits"
locked=(--generate-hashes -c "$scratch/constraints.txt")

groups=()
for group in demo docs fuzz lint test; do groups+=(--group "$group"); done
extras=()
for extra in edge gpio webrtc dashboard postgresql fleet training; do extras+=(--extra "$extra"); done
# Debian's PyAudio is used (python3-pyaudio), whatever its version: that of the index has to be compiled.
compile constraints pyproject.toml --no-emit-package pyaudio "${extras[@]}" "${groups[@]}"
compile device pyproject.toml --extra edge --no-emit-package pyaudio "${locked[@]}"
compile hub pyproject.toml --extra dashboard --extra fleet --extra postgresql "${locked[@]}"
compile gpio --generate-hashes - <<<'gpiozero
lgpio'
compile build "${locked[@]}" - <<<'setuptools>=77'
# 32-bit Arm has wheels of tflite-runtime for Python 3.11 alone, and that wants NumPy 1.
compile device-armhf pyproject.toml --extra edge-tflite --no-emit-package pyaudio --generate-hashes
