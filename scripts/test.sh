#!/usr/bin/env bash
# npm test: set-up, then every test; with arguments, only those files.
set -uo pipefail
# shellcheck source=setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
YES=1

require_node
step "Installing npm packages" install_packages
ensure_podman
[ -z "${CI:-}" ] || ensure_verifiers

# Programs of other projects are fetched while Doorward is built.
fetched=$(mktemp)
([ -z "${CI:-}" ] || { ensure_clients && ensure_editor_host; }) >"$fetched" 2>&1 &
fetching=$!
step "Building Doorward" build
wait "$fetching"
status=$?
cat "$fetched"
rm "$fetched"
[ "$status" -eq 0 ] || exit "$status"

cd "$root" || exit
[ $# -gt 0 ] || set -- packages/*/test/*.test.ts test/*/*.test.ts
exec node --conditions=source --import tsx --test --test-concurrency=2 --test-reporter=spec "$@"
