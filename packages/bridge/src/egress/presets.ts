import type { EgressPreset, EgressRule } from "@doorward/contracts";

const https = (...hosts: readonly string[]): readonly EgressRule[] =>
  hosts.map((host) => ({ host, ports: [443] }));

/**
 * What each preset opens: exactly the hosts that the tool needs to fetch, and no host where anybody can store data
 * without an account, as far as the tools allow it. docs/egress.md says why each is there; a change of this table is a
 * change of every policy that names the preset, and shows in its digest.
 */
export const EGRESS_PRESET_RULES: Readonly<Record<EgressPreset, readonly EgressRule[]>> = {
  npm: https("registry.npmjs.org", "nodejs.org"),
  pypi: https("pypi.org", "files.pythonhosted.org"),
  debian: [
    { host: "deb.debian.org", ports: [80, 443] },
    { host: "security.debian.org", ports: [80, 443] },
  ],
  github: https(
    "github.com",
    "api.github.com",
    "codeload.github.com",
    "raw.githubusercontent.com",
    "objects.githubusercontent.com",
    "release-assets.githubusercontent.com",
  ),
  anthropic: https("api.anthropic.com"),
  openai: https("api.openai.com"),
  crates: https("index.crates.io", "static.crates.io"),
  go: https("proxy.golang.org", "sum.golang.org"),
};
