#!/usr/bin/env bash
# Records docs/session.cast from a real run: scripts/record-session.sh (needs asciinema, git, and doorward on the PATH)
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "${1:-}" != play ]; then
  exec asciinema rec --overwrite --cols 100 --rows 30 --idle-time-limit 2 --title Doorward \
    --command "$(printf '%q play' "$PWD/scripts/record-session.sh")" docs/session.cast
fi

home=$(mktemp -d) && trap 'rm -rf "$home"' EXIT
mkdir -p "$home/src/shop" && cd "$home/src/shop"
git init -q && echo 'console.log("hello from the shop")' >shop.js

show() {
  printf '\033[1m$ %s\033[0m\n' "$*"
  sleep 0.6
  bash -c "$*" || true
  sleep 1
  echo
}

show 'doorward policy allow .'
show 'doorward up'
show 'doorward exec -- sh -c "id; ls /sys/class/net; node shop.js"'
show 'doorward exec -- sh -c "echo evil > .git/hooks/pre-commit"'
show 'doorward up ~/.ssh'
show 'doorward evidence ls -n 4'
show 'doorward evidence verify'
doorward rm >/dev/null
doorward policy remove . >/dev/null
