#!/usr/bin/env bash
# Installs what the tests need on a Debian 12: the memcached that replies are compared with, the clients that
# are driven against the server, and the programs that stand before it. Python's and node's packages go under the target directory, so that
# nothing of them reaches the system. Run again it finds all in place and ends at once.
set -euo pipefail
cd "$(dirname "$0")/.."
clients=${CARGO_TARGET_DIR:-target}/clients

debian=(gcc iproute2 libc6-dev git libcache-memcached-perl libmemcached-tools libsasl2-modules memcached
  nginx-light openssl php-cli php-memcache php-memcached procps python3-venv ruby ruby-dalli strace systemd util-linux)
python=(python-memcached==1.62 pymemcache==4.0.0 pylibmc==1.6.3 python-binary-memcached==0.33.0)
node=(memjs@1.3.2)

fail() {
  echo "tests/setup.sh: $*" >&2
  exit 1
}

installed() { dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }

install_debian() {
  local missing=() package
  for package in "${debian[@]}"; do installed "$package" || missing+=("$package"); done
  # A node that came by another way than Debian's is as good, if it has npm beside it.
  command -v npm >/dev/null || missing+=(nodejs npm)
  [ ${#missing[@]} -gt 0 ] || return 0
  echo "installing: ${missing[*]}"
  [ "$(id -u)" = 0 ] || fail "run it as root, or first: apt-get install ${missing[*]}"
  apt-get update -qq || fail "apt-get update failed: is a package mirror in reach?"
  # Runlevel 1 keeps memcached and nginx from being started, and from taking their usual ports.
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" \
    >/dev/null || fail "apt-get could not install: ${missing[*]}"
}

install_python() {
  local stamp=$clients/python.stamp
  [ "$(cat "$stamp" 2>/dev/null)" = "${python[*]}" ] && return 0
  echo "installing for python: ${python[*]}"
  rm -rf "$clients/python"
  /usr/bin/python3 -m venv "$clients/python" || fail "no python environment could be made"
  "$clients/python/bin/pip" install -q --disable-pip-version-check "${python[@]}" ||
    fail "pip could not install: ${python[*]}"
  echo "${python[*]}" >"$stamp"
}

install_node() {
  local stamp=$clients/node.stamp
  [ "$(cat "$stamp" 2>/dev/null)" = "${node[*]}" ] && return 0
  echo "installing for node: ${node[*]}"
  rm -rf "$clients/node"
  mkdir -p "$clients/node"
  npm install --silent --no-audit --no-fund --prefix "$clients/node" "${node[@]}" >/dev/null ||
    fail "npm could not install: ${node[*]}"
  echo "${node[*]}" >"$stamp"
}

command -v cargo >/dev/null || fail "cargo is missing: install a Rust toolchain (1.90 or newer) first"
mkdir -p "$clients"
install_debian
install_python
install_node
echo "all that the tests need is installed"
