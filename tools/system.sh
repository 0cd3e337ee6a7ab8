#!/bin/sh
# Makes sure that the system has what the build, the tests and the checks run.
# usage: tools/system.sh build|test|bench|check...
# Root on Debian gets what is missing from apt; anyone else is told its names, and the exit code is 1.
set -eu

RUST_MINIMUM=1.85
PYTHON_MINIMUM=3.11
PYTHON=${PYTHON:-python3}

has() { command -v "$1" >/dev/null 2>&1; }

# at_least MINIMUM VERSION
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

rust_is_recent() {
    has cargo && has rustc && at_least "$RUST_MINIMUM" "$(rustc --version | cut -d ' ' -f 2)"
}

python_is_recent() {
    has "$PYTHON" && "$PYTHON" -c "import sys; sys.exit(sys.version_info < (${PYTHON_MINIMUM%.*}, ${PYTHON_MINIMUM#*.}))"
}

python_makes_environments() { "$PYTHON" -c 'import ensurepip, venv' >/dev/null 2>&1; }

links_programs() { has cc && printf 'int main(void){return 0;}' | cc -x c -o /dev/null - 2>/dev/null; }

has_pcap() { printf '#include <pcap/pcap.h>\n' | cc -E -x c - >/dev/null 2>&1; }

has_certificates() { [ -s "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" ]; }

# Names the apt packages that purpose $1 lacks, one a line. Rust's carry a flavour: see rust_packages.
missing_for() {
    case $1 in
    build)
        has_certificates || echo ca-certificates
        python_is_recent || echo python3
        python_makes_environments || echo python3-venv
        links_programs || printf '%s\n' gcc libc6-dev
        rust_is_recent || printf '%s\n' rust:cargo rust:rustc
        ;;
    test)
        has tshark || echo tshark
        has ip || echo iproute2
        has tcpreplay || echo tcpreplay
        has setpriv || echo util-linux
        has openssl || echo openssl
        has rsyslogd || printf '%s\n' rsyslog rsyslog-openssl
        has promtool || echo prometheus
        has amtool || echo prometheus-alertmanager
        ;;
    bench)
        has tshark || echo tshark
        has_pcap || echo libpcap-dev
        ;;
    check)
        has git || echo git
        cargo fmt --version >/dev/null 2>&1 || echo rust:rustfmt
        cargo clippy --version >/dev/null 2>&1 || echo rust:rust-clippy
        ;;
    *)
        echo "tools/system.sh: no such purpose: $1" >&2
        exit 2
        ;;
    esac
}

# Spells "rust:NAME" as apt does. Debian 12 has a recent Rust beside its own under names with -web;
# a Rust that is not apt's (rustup's) gets its parts from where it came.
rust_packages() {
    offered=$(apt-cache policy rustc 2>/dev/null | sed -n 's/^ *Candidate: *\([0-9.]*\).*/\1/p')
    if at_least "$RUST_MINIMUM" "${offered:-0}"; then
        sed 's/^rust://'
    else
        sed -e 's/^rust:rust-clippy$/rust-web-clippy/' -e 's/^rust:\(.*\)$/\1-web/'
    fi
}

missing=$(for purpose in "$@"; do missing_for "$purpose"; done)
[ -n "$missing" ] || exit 0

if rust_is_recent && echo "$missing" | grep -q '^rust:' && ! dpkg -S "$(command -v rustc)" >/dev/null 2>&1; then
    echo "The Rust in $(command -v rustc) lacks a part of it; with rustup: rustup component add rustfmt clippy" >&2
    exit 1
fi
if ! has apt-get || [ "$(id -u)" -ne 0 ]; then
    names=$(echo "$missing" | rust_packages | tr '\n' ' ')
    echo "These system packages are missing (Debian's names); install them and run make again:" >&2
    echo "  apt-get install --no-install-recommends $names" >&2
    exit 1
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update -q
names=$(echo "$missing" | rust_packages)
# shellcheck disable=SC2086 # one word a package
apt-get install -q -y --no-install-recommends $names

still=$(for purpose in "$@"; do missing_for "$purpose"; done)
if [ -n "$still" ]; then
    echo "Still missing after installing $names:" $still >&2
    echo "otids needs Python >= $PYTHON_MINIMUM, Rust >= $RUST_MINIMUM and a C linker." >&2
    exit 1
fi
