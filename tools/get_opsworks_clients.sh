#!/bin/sh
# Gets the clients that still know OpsWorks CM by themselves, for `make soak`: boto3 1.40.17, AWS CLI 1.42.17 and the AWS SDK
# for JavaScript 3.523.0. What cannot be had is said in one line, and its tests are skipped.
set -eu
cd "$(dirname "$0")/.."
SOURCES=tests/oracle/opsworks_clients
# Without our own settings, which would give old clients a new botocore.
PYTHON_CLIENTS="boto3==1.40.17 botocore==1.40.17 awscli==1.42.17"

place=.venv-tools/opsworks-python
[ "$(cat $place/.installed 2>/dev/null)" = "$PYTHON_CLIENTS" ] || {
    rm -rf $place
    if .venv/bin/uv venv --quiet --python .venv/bin/python $place &&
        .venv/bin/uv pip install --no-config --quiet --python $place/bin/python $PYTHON_CLIENTS; then
        printf '%s' "$PYTHON_CLIENTS" >$place/.installed
    else
        rm -rf $place
        echo "opsworks clients: PyPI does not give $PYTHON_CLIENTS"
    fi
}

place=.venv-tools/opsworks-npm
cmp -s $SOURCES/package.json $place/installed.json || {
    rm -rf $place && mkdir -p $place && cp $SOURCES/package.json $place/
    if command -v node >/dev/null && (cd $place &&
        npm install --silent --no-package-lock --no-audit --no-fund --ignore-scripts); then
        cp $SOURCES/package.json $place/installed.json
    else
        rm -rf $place
        echo "opsworks clients: npm is missing, or does not give @aws-sdk/client-opsworkscm"
    fi
}
