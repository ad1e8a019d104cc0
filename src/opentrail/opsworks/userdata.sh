#!/bin/bash
# Joins this machine to a Chef server of AWS OpsWorks CM, the one that is named below, then runs the Chef client.
#
# For the user data of a cloud instance, or by hand as root. Needs bash, curl, openssl and Python 3; no AWS CLI.
# Credentials that may call opsworks-cm:AssociateNode and opsworks-cm:DescribeNodeAssociationStatus come from the
# environment, the shared credentials file, a container's or an instance's role. Running it again does no harm: the
# node keeps its key.
set -e -o pipefail

# What this script was made with.
CHEF_SERVER_NAME=@SERVER_NAME@
CHEF_SERVER_ENDPOINT=@SERVER_ENDPOINT@
CHEF_SERVER_URL=@SERVER_URL@
REGION=@REGION@
CHEF_ORGANIZATION=@ORGANIZATION@
NODE_ENVIRONMENT=@ENVIRONMENT@
RUN_LIST=@RUN_LIST@
CHEF_CLIENT_VERSION=@CLIENT_VERSION@     # empty: the newest
OPSWORKS_CM_URL=@API_URL@                # AWS_ENDPOINT_URL_OPSWORKSCM or AWS_ENDPOINT_URL come before it
ROOT_CA=@ROOT_CA@

# What the environment, or an edit here, may say otherwise.
NODE_NAME_PREFIX="${NODE_NAME_PREFIX:-}"
NODE_NAME="${NODE_NAME:-}"               # empty: the instance's id, or the host's name where there is none
CHEF_DIR="${CHEF_DIR:-/etc/chef}"
CHEF_CLIENT_LOG_LOCATION="${CHEF_CLIENT_LOG_LOCATION:-/var/log/chef-client.log}"
CHEF_CLIENT_INSTALLER="${CHEF_CLIENT_INSTALLER:-https://omnitruck.chef.io/install.sh}"
CHEF_CLIENT_OPTS=(${CHEF_CLIENT_OPTS:-})
JSON_ATTRIBUTES="${JSON_ATTRIBUTES:-}"   # a JSON document for the node's first run
CFN_SIGNAL="${CFN_SIGNAL:-}"             # a command to run at the end
METADATA="${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}"

prepare_os_packages() {
  local missing=()
  for tool in curl openssl python3; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  [ ${#missing[@]} -eq 0 ] && return
  if command -v apt-get >/dev/null; then
    apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y "${missing[@]}"
  else
    "$(command -v dnf || command -v yum || command -v zypper)" install -y "${missing[@]}"
  fi
}

instance_id() {
  local token
  token="$(curl -sf -m 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$METADATA/latest/api/token")" || return 1
  curl -sf -m 2 -H "X-aws-ec2-metadata-token: $token" "$METADATA/latest/meta-data/instance-id"
}

name_node() {
  if [ -z "$NODE_NAME" ]; then
    NODE_NAME="$NODE_NAME_PREFIX$(instance_id || hostname)"
  fi
  if ! [[ "$NODE_NAME" =~ ^[A-Za-z0-9_.-]+$ ]]; then
    echo "'$NODE_NAME' cannot be a node's name: letters, digits, and _ . - only; set NODE_NAME" >&2
    return 1
  fi
}

install_chef_client() {
  command -v chef-client >/dev/null && return
  local version=()
  [ -n "$CHEF_CLIENT_VERSION" ] && version=(-v "$CHEF_CLIENT_VERSION")
  curl -sSfL "$CHEF_CLIENT_INSTALLER" | bash -s -- "${version[@]}"
}

# Signs and sends the two calls that are needed, so that no AWS CLI has to know the service.
opsworks_cm() {
  python3 - "$REGION" "$OPSWORKS_CM_URL" "$METADATA" "$@" <<'PYTHON'
import configparser, datetime, hashlib, hmac, json, os, ssl, sys, time
import urllib.error, urllib.parse, urllib.request

region, made_with, metadata, action, server, argument = sys.argv[1:7]
env = os.environ
endpoint = (env.get("AWS_ENDPOINT_URL_OPSWORKSCM") or env.get("AWS_ENDPOINT_URL") or made_with).rstrip("/")
if not endpoint:
    sys.exit("AWS_ENDPOINT_URL_OPSWORKSCM must say where OpsWorks CM is")
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def fetched(url, headers={}, method="GET"):
    with direct.open(urllib.request.Request(url, headers=headers, method=method), timeout=5) as answer:
        return answer.read().decode()


def from_files():
    files, profile = configparser.RawConfigParser(), env.get("AWS_PROFILE", "default")
    files.read(env.get("AWS_SHARED_CREDENTIALS_FILE") or os.path.expanduser("~/.aws/credentials"))
    if not files.has_option(profile, "aws_secret_access_key"):
        return None
    names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    return tuple(files.get(profile, name, fallback=None) for name in names)


def from_role():
    full, relative = env.get("AWS_CONTAINER_CREDENTIALS_FULL_URI"), env.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    if full or relative:
        token = env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN")
        if env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
            with open(env["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]) as file:
                token = file.read().strip()
        where = full or "http://169.254.170.2" + relative
        found = json.loads(fetched(where, {"Authorization": token} if token else {}))
    else:
        life = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
        proof = {"X-aws-ec2-metadata-token": fetched(metadata + "/latest/api/token", life, "PUT")}
        roles = metadata + "/latest/meta-data/iam/security-credentials/"
        found = json.loads(fetched(roles + fetched(roles, proof).split()[0], proof))
    return found["AccessKeyId"], found["SecretAccessKey"], found["Token"]


def credentials():
    if env.get("AWS_ACCESS_KEY_ID"):
        return env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], env.get("AWS_SESSION_TOKEN")
    try:
        return from_files() or from_role()
    except (OSError, ValueError, KeyError, IndexError) as problem:
        sys.exit("there are no AWS credentials here: %s" % problem)


def signed(operation, body):
    key_id, secret, session = credentials()
    stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    headers = {
        "content-type": "application/x-amz-json-1.1",
        "host": urllib.parse.urlsplit(endpoint).netloc,
        "x-amz-date": stamp,
        "x-amz-target": "OpsWorksCM_V2016_11_01." + operation,
    }
    if session:
        headers["x-amz-security-token"] = session
    names = ";".join(sorted(headers))
    lines = "".join("%s:%s\n" % (name, headers[name]) for name in sorted(headers))
    request = "\n".join(("POST", "/", "", lines, names, hashlib.sha256(body).hexdigest()))
    scope = "%s/%s/opsworks-cm/aws4_request" % (stamp[:8], region)
    text = "\n".join(("AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(request.encode()).hexdigest()))
    key = ("AWS4" + secret).encode()
    for part in (stamp[:8], region, "opsworks-cm", "aws4_request", text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    proof = "Credential=%s/%s, SignedHeaders=%s, Signature=%s" % (key_id, scope, names, key.hex())
    return dict(headers, authorization="AWS4-HMAC-SHA256 " + proof)


def call(operation, **members):
    body = json.dumps(members).encode()
    trust = ssl.create_default_context(cafile=env.get("AWS_CA_BUNDLE"))
    for pause in (1, 2, 4, 8, 16, None):
        try:
            request = urllib.request.Request(endpoint + "/", body, signed(operation, body))
            with urllib.request.urlopen(request, timeout=30, context=trust) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as refusal:
            text = refusal.read().decode("utf-8", "replace")[:2000]
            if pause is None or not (refusal.code >= 500 or refusal.code == 429 or "ThrottlingException" in text):
                sys.exit("%s was refused with %d: %s" % (operation, refusal.code, text))
        except OSError as problem:
            if pause is None:
                sys.exit("%s: %s does not answer: %s" % (operation, endpoint, problem))
        time.sleep(pause)


if action == "associate":
    name, organization, key_file = argument, sys.argv[7], sys.argv[8]
    with open(key_file) as file:
        attributes = {"CHEF_AUTOMATE_ORGANIZATION": organization, "CHEF_AUTOMATE_NODE_PUBLIC_KEY": file.read()}
    pairs = [{"Name": key, "Value": value} for key, value in attributes.items()]
    answer = call("AssociateNode", ServerName=server, NodeName=name, EngineAttributes=pairs)
    print(answer["NodeAssociationStatusToken"])
else:
    for _ in range(120):
        answer = call("DescribeNodeAssociationStatus", ServerName=server, NodeAssociationStatusToken=argument)
        if answer["NodeAssociationStatus"] != "IN_PROGRESS":
            break
        time.sleep(2)
    if answer["NodeAssociationStatus"] != "SUCCESS":
        sys.exit("the association ended as %s; the server's events say why" % answer["NodeAssociationStatus"])
PYTHON
}

associate_node() {
  mkdir -p "$CHEF_DIR"
  (umask 077; [ -s "$CHEF_DIR/client.pem" ] || openssl genrsa -out "$CHEF_DIR/client.pem" 2048)
  openssl rsa -in "$CHEF_DIR/client.pem" -pubout -out "$CHEF_DIR/client.pub" 2>/dev/null
  opsworks_cm associate "$CHEF_SERVER_NAME" "$NODE_NAME" "$CHEF_ORGANIZATION" "$CHEF_DIR/client.pub"
}

write_chef_config() {
  cat > "$CHEF_DIR/client.rb" <<EOF
chef_server_url   '$CHEF_SERVER_URL/organizations/$CHEF_ORGANIZATION'
node_name         '$NODE_NAME'
client_key        '$CHEF_DIR/client.pem'
trusted_certs_dir '$CHEF_DIR/trusted_certs'
log_location      '$CHEF_CLIENT_LOG_LOCATION'
chef_license      'accept'
EOF
}

install_trusted_certs() {
  mkdir -p "$CHEF_DIR/trusted_certs"
  if [ -n "$ROOT_CA" ]; then
    printf '%s\n' "$ROOT_CA" > "$CHEF_DIR/trusted_certs/opsworks-cm-ca.pem"
  fi
}

run_chef_client() {
  local options=(-c "$CHEF_DIR/client.rb" "${CHEF_CLIENT_OPTS[@]}")
  [ -n "$RUN_LIST" ] && options+=(-r "$RUN_LIST")
  [ -n "$NODE_ENVIRONMENT" ] && options+=(-E "$NODE_ENVIRONMENT")
  if [ -n "$JSON_ATTRIBUTES" ]; then
    printf '%s\n' "$JSON_ATTRIBUTES" > "$CHEF_DIR/client-attributes.json"
    options+=(-j "$CHEF_DIR/client-attributes.json")
  fi
  chef-client "${options[@]}"
}

prepare_os_packages
name_node
install_chef_client
node_association_status_token="$(associate_node)"
write_chef_config
install_trusted_certs
opsworks_cm wait "$CHEF_SERVER_NAME" "$node_association_status_token"
run_chef_client
touch "$CHEF_DIR/opsworks-cm-associated"
eval "$CFN_SIGNAL"
