#!/bin/sh
# Gets the strangers' tools that `make soak` lets judge a running OpenTrail, each pinned and in a venv of its own, since
# their dependencies agree neither with ours nor with each other's. A tool that is there in its version is left alone.
set -eu
cd "$(dirname "$0")/.."

get() {
    stamp=.venv-tools/$1/.$1-$2
    [ -f "$stamp" ] && return
    rm -rf ".venv-tools/$1"
    .venv/bin/uv venv --quiet --python .venv/bin/python ".venv-tools/$1"
    # Without our configuration, whose overrides are for our own dependencies.
    .venv/bin/uv pip install --no-config --quiet --python ".venv-tools/$1/bin/python" "$1==$2"
    touch "$stamp"
}

get prowler 5.46.0
get c7n 0.9.53
get trailscraper 0.10.0
get duckdb 2.0.0
