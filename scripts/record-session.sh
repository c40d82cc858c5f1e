#!/usr/bin/env bash
# Records docs/session.cast from a real run on a fresh clone of HEAD: scripts/record-session.sh
# Needs root, for a view of its own of /home and of who it is.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

if [ "${1:-}" != inside ]; then
  place=$(mktemp -d /var/tmp/doorward-session-XXXXXX)
  trap 'rm -rf "$place"' EXIT
  unshare --mount --propagation private "$0" inside "$place"
  exit
fi

# Neither the mounts nor the name leave this namespace; what runs in it ends before it does.
place=$2
mkdir -p "$place/you/bin" "$place/you/src/shop" "$place/you/run"
{ echo 'you:x:0:0::/home/you:/bin/bash' && grep -v ':x:0:' /etc/passwd; } >"$place/passwd"
mount --bind "$place" /home
mount --bind "$place/passwd" /etc/passwd
git clone -q "$root" /home/you/doorward

cd /home/you/src/shop
git init -q
echo '{ "name": "shop", "type": "module", "scripts": { "test": "node cart.test.js" } }' >package.json
echo 'export const total = (prices) => prices.reduce((sum, price) => sum + price, 0);' >cart.js
echo 'import { total } from "./cart.js"; if (total([2, 3]) !== 5) process.exit(1); console.log("ok");' >cart.test.js

ln -s "$root/scripts/record-session-agent.mjs" /home/you/bin/agent
mkdir -m 700 /home/you/.ssh

cd "$root"
status=0
env -i HOME=/home/you USER=you TERM=xterm-256color LANG=C.UTF-8 XDG_RUNTIME_DIR=/home/you/run \
  PATH="/home/you/bin:$PATH" npm_config_cache="$(npm config get cache)" npm_config_userconfig="$(npm config get userconfig)" \
  node scripts/record-session.mjs docs/session.cast || status=$?
export HOME=/home/you XDG_RUNTIME_DIR=/home/you/run
for machine in shop doorward; do node /home/you/doorward/packages/bridge/bin/doorward.js rm "$machine" >/dev/null || true; done
node /home/you/doorward/packages/bridge/bin/doorward.js bridge stop >/dev/null || true
exit "$status"
