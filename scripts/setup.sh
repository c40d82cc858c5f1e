# Set-up shared by ./quickstart and npm test. Sourced, never run; every function may be called twice.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
apt_packages=(podman crun runc netavark aardvark-dns catatonit conmon uidmap slirp4netns mmdebstrap git)

die() {
  printf '\nquickstart: %s\n' "$1" >&2
  [ $# -lt 2 ] || printf '  to mend it: %s\n' "$2" >&2
  exit 5
}

now_ms() { date +%s%3N; }

# step TITLE COMMAND...: runs a command, shows what is done and how long it took; its output only when it fails or with VERBOSE=1.
step() {
  local title=$1 began output status
  shift
  began=$(now_ms)
  printf '  %-46s ' "$title"
  if [ -n "${VERBOSE:-}" ]; then
    printf '\n'
    "$@"
    status=$?
  else
    output=$("$@" 2>&1)
    status=$?
  fi
  [ -z "${VERBOSE:-}" ] || printf '  %-46s ' "$title"
  if [ "$status" -eq 0 ]; then
    printf 'done in %s\n' "$(elapsed "$began")"
  else
    printf 'FAILED after %s\n%s\n' "$(elapsed "$began")" "${output:-}" >&2
    exit "$status"
  fi
}

elapsed() {
  local ms=$(($(now_ms) - $1))
  printf '%d.%d s' $((ms / 1000)) $(((ms % 1000) / 100))
}

require_node() {
  command -v node >/dev/null || die "Node.js is missing" "install Node 20.20 or newer, e.g. from your system's packages or nodejs.org"
  command -v npm >/dev/null || die "npm is missing" "install npm; it comes with Node.js"
  node -e 'const [a,b]=process.versions.node.split(".").map(Number);process.exit(a>20||(a===20&&b>=20)?0:1)' ||
    die "Node.js $(node --version) is too old" "install Node 20.20 or newer"
}

# Native add-ons ship ready-made inside their npm packages, so that no install script has to run.
install_packages() {
  [ "$root/node_modules/.package-lock.json" -nt "$root/package-lock.json" ] || (cd "$root" && npm ci --ignore-scripts --no-audit --no-fund) || return
  # The machines' own Node must not be the one that scripts find first.
  (cd "$root" && node packages/guest/scripts/unshadow.mjs) || return
  hash -r
  (cd "$root" && node -e 'require("node-pty")') 2>/dev/null || build_node_pty
}

# Only where node-pty has no ready-made binary: compiles it against the headers that came with this Node.
build_node_pty() {
  local prefix headers gyp
  install_system_packages g++ make python3 || return
  prefix=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
  [ -e "$prefix/include/node/node.h" ] || install_system_packages libnode-dev || return
  headers=$prefix
  [ -e "$headers/include/node/node.h" ] || headers=/usr
  gyp=$(node_gyp)
  (cd "$root/node_modules/node-pty" && node "$gyp" rebuild --nodedir="$headers")
}

# node-gyp of the npm at hand, or of Debian's.
node_gyp() {
  local gyp
  gyp=$(npm root --global)/npm/node_modules/node-gyp/bin/node-gyp.js
  [ -e "$gyp" ] || gyp=/usr/share/nodejs/npm/node_modules/node-gyp/bin/node-gyp.js
  printf '%s' "$gyp"
}

build() { (cd "$root" && npm run --silent build); }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

install_system_packages() {
  command -v apt-get >/dev/null || return 1
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

missing_podman() {
  local name
  for name in podman crun mmdebstrap newuidmap git; do
    command -v "$name" >/dev/null || printf '%s ' "$name"
  done
  [ -x /usr/bin/catatonit ] || [ -x /usr/libexec/podman/catatonit ] || printf 'catatonit '
}

install_command() {
  if command -v apt-get >/dev/null; then
    printf 'sudo apt-get install --no-install-recommends %s' "${apt_packages[*]}"
  elif command -v dnf >/dev/null; then
    printf 'sudo dnf install podman crun catatonit shadow-utils git mmdebstrap'
  elif command -v pacman >/dev/null; then
    printf 'sudo pacman -S podman crun catatonit git debootstrap'
  elif command -v zypper >/dev/null; then
    printf 'sudo zypper install podman crun catatonit git'
  elif [ "$(uname -s)" = Darwin ]; then
    printf 'brew install podman && podman machine init --now'
  else
    printf 'install Podman 4.3 or newer with crun, catatonit and uidmap'
  fi
}

# ensure_podman: installs Podman and its helpers where apt can; asks first when there is a terminal, unless YES is set.
ensure_podman() {
  local missing answer
  missing=$(missing_podman)
  [ -n "$missing" ] || return 0
  [ "$(uname -s)" = Linux ] || die "missing: $missing" "$(install_command)"
  command -v apt-get >/dev/null || die "missing: $missing" "$(install_command)"
  [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null || die "missing: $missing, and there is no sudo to install it" "ask root to run: $(install_command)"
  if [ -z "${YES:-}" ] && [ -t 0 ] && [ -t 1 ]; then
    read -r -p "  Missing: ${missing}- install with apt-get? [Y/n] " answer
    case $answer in [nN]*) die "not installed" "$(install_command)" ;; esac
  fi
  step "Installing Podman and its helpers" install_system_packages "${apt_packages[@]}"
}

# Programs of other projects that tests check ours with; only CI insists on them, elsewhere those tests skip.
ensure_verifiers() {
  if type go ssh scp sftp rsync Xvfb xclip xsel >/dev/null 2>&1 && has_verifier_libraries; then return; fi
  step "Installing independent verifiers" install_system_packages golang-go golang-golang-x-mod-dev python3-securesystemslib \
    python3-jsonschema openssh-client rsync xvfb xclip xsel
}

# Debian's packages are for Debian's Python, which need not be the first one on PATH.
has_verifier_libraries() {
  [ -d /usr/share/gocode/src/golang.org/x/mod ] && /usr/bin/python3 -c 'import jsonschema, securesystemslib' 2>/dev/null
}

# Clients of other projects that tests drive; only CI insists on them, elsewhere those tests skip. Node 24 runs them.
ensure_clients() {
  [ "$root/test/clients/node_modules/.package-lock.json" -nt "$root/test/clients/package-lock.json" ] && return
  step "Installing clients of other projects" install_clients
}

install_clients() { (cd "$root/test/clients" && npm ci --ignore-scripts --no-audit --no-fund); }

# A real VS Code, and a browser to use it with; only CI insists on them, elsewhere those tests skip. Node 24 runs it.
ensure_editor_host() {
  type chromium g++ make python3 >/dev/null 2>&1 ||
    step "Installing a browser and a compiler" install_system_packages chromium fonts-dejavu-core g++ make python3
  [ "$root/test/vscode/node_modules/.ready" -nt "$root/test/vscode/package-lock.json" ] && return
  step "Installing a VS Code to test in" install_editor_host
}

# The server's own packages are a shrinkwrap inside of it; the two native ones that it can't start without are compiled.
install_editor_host() {
  local node24 gyp native server=$root/test/vscode/node_modules/code-server/lib/vscode
  node24=$root/node_modules/node-linux-$(node -p process.arch)
  gyp=$(node_gyp)
  (cd "$root/test/vscode" && npm ci --ignore-scripts --no-audit --no-fund) || return
  (cd "$server" && npm install --omit=dev --ignore-scripts --no-audit --no-fund) || return
  for native in @vscode/spdlog @vscode/native-watchdog; do
    (cd "$server/node_modules/$native" && PATH=$node24/bin:$PATH node "$gyp" rebuild -j 2 --nodedir="$node24") || return
  done
  touch "$root/test/vscode/node_modules/.ready"
}
