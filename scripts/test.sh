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
[ -z "${CI:-}" ] || ensure_clients
[ -z "${CI:-}" ] || ensure_editor_host
step "Building Doorward" build
cd "$root" || exit
[ $# -gt 0 ] || set -- packages/*/test/*.test.ts test/*/*.test.ts
exec node --conditions=source --import tsx --test --test-concurrency=2 --test-reporter=spec "$@"
