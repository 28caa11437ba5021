#!/usr/bin/env bash
# Make .venv with the locked dependencies; called by `make setup`. System packages are checked first: installed when run as root on
# Debian or Ubuntu, else named in one line with the command that installs them.
set -euo pipefail
cd "$(dirname "$0")"

fail() { echo "error: $*" >&2; exit 2; }

suits() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null; }

python=${PYTHON:-}
for candidate in python3 python3.12 python3.11 python3.10; do
  [ -n "$python" ] || ! suits "$candidate" || python=$candidate
done
if [ -n "$python" ]; then suits "$python" || fail "PYTHON=$python is not Python 3.10, 3.11 or 3.12, which MindSpore needs"; fi

header() { echo "#include <stdio.h>
#include <$1>" | c++ -E -x c++ - >/dev/null 2>&1; }

packages=()
[ -n "$python" ] && "$python" -c 'import ensurepip, venv' 2>/dev/null || packages+=("${python:-python3}-venv")
command -v git >/dev/null || packages+=(git)
command -v c++ >/dev/null || packages+=(g++)
command -v cmake >/dev/null || packages+=(cmake)
header jpeglib.h || packages+=(libjpeg-dev)
header nlohmann/json.hpp || packages+=(nlohmann-json3-dev)
header doctest/doctest.h || packages+=(doctest-dev)
if [ ${#packages[@]} -gt 0 ]; then
  packages=("${packages[@]##*/}")
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing system packages: ${packages[*]}"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${packages[@]}"; } >/dev/null \
      || fail "apt-get could not install ${packages[*]}"
  else
    fail "system packages are missing; install them with: sudo apt-get install ${packages[*]}"
  fi
  [ -n "$python" ] || for candidate in python3 python3.12 python3.11 python3.10; do
    [ -n "$python" ] || ! suits "$candidate" || python=$candidate
  done
fi
[ -n "$python" ] || fail "no Python 3.10, 3.11 or 3.12 found, which MindSpore needs; install one and name it: make setup PYTHON=/path/to/python3.12"

[ -x .venv/bin/python ] || "$python" -m venv .venv
echo "installing the locked Python packages into .venv (about 1.5 GB, some minutes)"
.venv/bin/python -m pip install -q --disable-pip-version-check -r requirements.lock
.venv/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
touch .venv/installed
