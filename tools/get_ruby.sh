#!/bin/sh
# Gets Ruby with Chef's own signing library into .venv/ruby for the tests, from Debian's packages; without it one test skips.
set -eu
cd "$(dirname "$0")/.."
PACKAGES="ruby3.1 libruby3.1 ruby-mixlib-authentication libyaml-0-2 libgmp10 libffi8"

[ -x .venv/ruby/usr/bin/ruby3.1 ] || {
    rm -rf .venv/ruby && mkdir -p .venv/ruby
    # Nothing is installed: the packages are only unpacked, and found through RUBYLIB and LD_LIBRARY_PATH.
    if (cd .venv/ruby && apt-get download $PACKAGES >/dev/null 2>&1 &&
        for package in *.deb; do dpkg-deb -x "$package" . || exit 1; done); then
        rm -f .venv/ruby/*.deb
    else
        rm -rf .venv/ruby
        printf '%s\n' "tests: Ruby is missing; on Debian 12: apt-get install ruby ruby-mixlib-authentication"
    fi
}
