#!/bin/sh
# Gets nginx into .venv/bin for `make bench`, from Debian's package; without it that benchmark leaves its row out.
set -eu
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin

command -v nginx >/dev/null || [ -x .venv/bin/nginx ] || {
    rm -rf .venv/nginx && mkdir -p .venv/nginx
    # The package's own service would listen on port 80: take the program only.
    if (cd .venv/nginx && apt-get download nginx >/dev/null 2>&1 && dpkg-deb -x nginx_*.deb .) 2>/dev/null; then
        cp .venv/nginx/usr/sbin/nginx .venv/bin/nginx
    else
        printf '%s\n' "bench: nginx is missing; on Debian: apt-get install nginx"
    fi
    rm -rf .venv/nginx
}
