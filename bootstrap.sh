#!/usr/bin/env bash
# Makes .venv with everything `make test` and `make demo` need, system libraries included.
# Safe to run again: it does only what is missing. PYTHON=python3.12 ./bootstrap.sh picks another Python.
set -euo pipefail
cd "$(dirname "$0")"
python="${PYTHON:-python3}"
venv="${VENV:-.venv}"

say() { printf 'bootstrap: %s\n' "$*" >&2; }

# What napari needs to open a window under Xvfb on a bare Debian or Ubuntu.
libraries="xvfb xauth libegl1 libgl1 libgl1-mesa-dri libdbus-1-3 libfontconfig1 libglib2.0-0
  libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxcb-shape0"

install_libraries() {
  command -v dpkg-query >/dev/null || return 0
  missing=""
  for name in $libraries "$@"; do
    # Ubuntu 24.04 and Debian 13 append t64 to some names
    state="$(dpkg-query -W -f '${Status}\n' "$name" "${name}t64" 2>/dev/null || true)"
    case "$state" in
      *"install ok installed"*) ;;
      *) missing="$missing $name" ;;
    esac
  done
  [ -n "$missing" ] || return 0
  as_root=""
  if [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
      as_root="sudo"
    else
      say "these system packages are missing and need an administrator:$missing"
      say "sudo apt-get install --no-install-recommends$missing"
      [ -n "${DISPLAY:-}" ] && return 0
      exit 1
    fi
  fi
  say "installing system packages:$missing"
  $as_root apt-get update -q >/dev/null
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -q --no-install-recommends $missing >/dev/null
}

if [ "$(uname -s)" = Linux ]; then
  extra=""
  "$python" -c 'import ensurepip, venv' 2>/dev/null || extra="python3-venv"
  # shellcheck disable=SC2086
  install_libraries $extra
fi

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  say "$("$python" --version) is too old: Python 3.11 or newer is needed (PYTHON=python3.12 make test)"
  exit 1
}

stamp="$venv/.installed"
if [ ! -e "$stamp" ] || [ pyproject.toml -nt "$stamp" ] || [ constraints.txt -nt "$stamp" ]; then
  [ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
  say "installing Python packages into $venv (about 2 GB, one or two minutes)"
  "$venv/bin/python" -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[app,test,cluster]"
  touch "$stamp"
fi
