#!/bin/sh
# Fills .venv from requirements.lock (by version and hash), installs OpenTrail into it, and gets goiardi, the Chef engine.
set -eu
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}

say() { printf '%s\n' "setup: $*"; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }
may_be_root() { [ "$(id -u)" = 0 ] || { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }; }
apt() { as_root env DEBIAN_FRONTEND=noninteractive apt-get "$@" >>.venv-apt.log 2>&1; }

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
    say "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3 $*"
    exit 1
}
if ! "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; then
    package="python3-venv"
    if may_be_root && command -v apt-get >/dev/null && { apt update || true; apt install -y --no-install-recommends $package; }; then
        say "installed $package"
    else
        say "this Python lacks ensurepip; install it first, on Debian: apt-get install $package"
        exit 1
    fi
fi

[ -x .venv/bin/python ] || "$PYTHON" -m venv .venv
uv_version=$(sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements.lock)
[ "$(.venv/bin/uv --version 2>/dev/null | cut -d' ' -f2)" = "$uv_version" ] ||
    .venv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$uv_version"
# --system-certs: a company proxy with its own authority is no reason to fail
say "installing what requirements.lock lists"
.venv/bin/uv pip sync --quiet --system-certs --require-hashes --python .venv/bin/python requirements.lock
.venv/bin/uv pip install --quiet --system-certs --no-deps --no-build-isolation --python .venv/bin/python --editable .

if ! command -v goiardi >/dev/null && [ ! -x .venv/bin/goiardi ] && command -v apt-get >/dev/null; then
    say "getting goiardi, the Chef engine"
    may_be_root && { apt update || true; }
    # The package's own service would start a second, unused server: take the program only.
    rm -rf .venv/goiardi && mkdir -p .venv/goiardi
    if (cd .venv/goiardi && apt-get download goiardi >/dev/null 2>&1 && dpkg-deb -x goiardi_*.deb .); then
        cp .venv/goiardi/usr/bin/goiardi .venv/bin/goiardi
    elif may_be_root; then
        apt install -y --no-install-recommends goiardi || true
    fi
    rm -rf .venv/goiardi
fi
command -v goiardi >/dev/null || [ -x .venv/bin/goiardi ] ||
    say "goiardi is missing, so Chef servers cannot be made and their tests are skipped; on Debian: apt-get install goiardi"
sh tools/get_ruby.sh
rm -f .venv-apt.log
touch .venv/.complete
