import { shellWord } from "../shell-word.ts";
import { SSH_SUFFIX, SSH_USER, type SshPlace } from "./place.ts";

/** What `ssh` has to know of machines: how to reach them, whom to believe, and what never to pass on to them. */
function settings(place: SshPlace, proxy: string): readonly (readonly [string, string])[] {
  return [
    ["ProxyCommand", proxy],
    ["User", SSH_USER],
    ["IdentityFile", quoted(place.identity)],
    ["IdentitiesOnly", "yes"],
    ["IdentityAgent", "none"],
    ["CertificateFile", "none"],
    ["PreferredAuthentications", "publickey"],
    ["UserKnownHostsFile", quoted(place.knownHosts)],
    ["GlobalKnownHostsFile", "/dev/null"],
    ["StrictHostKeyChecking", "yes"],
    ["HostKeyAlgorithms", "ssh-ed25519"],
    ["UpdateHostKeys", "no"],
    ["VerifyHostKeyDNS", "no"],
    ["CheckHostIP", "no"],
    ["CanonicalizeHostname", "no"],
    ["ForwardAgent", "no"],
    ["ForwardX11", "no"],
    ["Tunnel", "no"],
    ["PermitLocalCommand", "no"],
    ["ServerAliveInterval", "15"],
    ["ServerAliveCountMax", "4"],
  ];
}

/** The include file: every machine, or one, as a host. */
export function configText(place: SshPlace, proxy: readonly string[], machine: string | undefined): string {
  const lines = settings(place, proxyCommand(proxy)).map(([name, value]) => `  ${name} ${value}`);
  return [
    "# Written by `doorward ssh-config`, which takes it back with --remove. Changes are lost.",
    `Host ${machine ?? "*"}${SSH_SUFFIX}`,
    ...lines,
    "",
  ].join("\n");
}

/**
 * A stand-in for `ssh` that knows machines whatever configuration it is called with: options of the command line win over
 * every file.
 */
export function wrapperText(place: SshPlace, proxy: readonly string[]): string {
  const skipped = new Set(["User"]);
  const options = settings(place, proxyCommand(proxy))
    .filter(([name]) => !skipped.has(name))
    .map(([name, value]) => ` \\\n  -o ${shellWord(`${name} ${value}`)}`);
  return `#!/bin/sh\n# Printed by \`doorward ssh-config --stand-in\`: ssh that reaches machines only.\nexec ssh${options.join("")} "$@"\n`;
}

/** `%h` is the host's name; a `%` of our own is doubled for it. */
function proxyCommand(proxy: readonly string[]): string {
  const words = proxy.map((word) => shellWord(word).replaceAll("%", "%%"));
  return `${words.join(" ")} '%h'`;
}

/** Paths with spaces need quotes, and `%` begins a token. */
function quoted(path: string): string {
  return `"${path.replaceAll("%", "%%")}"`;
}
