import { Resolver as DnsResolver } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { DoorwardError } from "@doorward/contracts";

/** Resolves a name of a host to all of its addresses. */
export interface Resolver {
  /** EGRESS_UNRESOLVED when it has none, or nobody answers in time. */
  resolve(name: string, signal: AbortSignal): Promise<readonly string[]>;
}

/** How names are resolved. */
export interface ResolverOptions {
  /** Servers instead of those of the host, as `address:port`. */
  readonly servers?: readonly string[];
  /** The hosts file; null for none. */
  readonly hostsFile?: string | null;
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 5_000;

/**
 * Resolves on the host: its hosts file first, then DNS at its servers for A and AAAA. Not through getaddrinfo: that can't
 * be stopped, holds threads that the bridge's files need too, appends search domains, so that an allowed public name
 * could become an internal one, and reads addresses in notations that nobody checked. Each call reads the host's
 * settings anew, because a laptop changes its network under a bridge that runs for weeks.
 */
export class HostResolver implements Resolver {
  readonly #options: ResolverOptions;

  constructor(options: ResolverOptions = {}) {
    this.#options = options;
  }

  async resolve(name: string, signal: AbortSignal): Promise<readonly string[]> {
    signal.throwIfAborted();
    const { hostsFile = "/etc/hosts" } = this.#options;
    const known = hostsFile === null ? [] : await addressesInHosts(hostsFile, name);
    return known.length > 0 ? known : await this.#ask(name, signal);
  }

  async #ask(name: string, signal: AbortSignal): Promise<string[]> {
    const { servers, timeoutMs = TIMEOUT_MS } = this.#options;
    const dns = new DnsResolver({ timeout: Math.ceil(timeoutMs / 3), tries: 2 });
    if (servers !== undefined) dns.setServers(servers);
    const stop = (): void => dns.cancel();
    const timer = setTimeout(stop, timeoutMs);
    signal.addEventListener("abort", stop, { once: true });
    try {
      const answers = await Promise.allSettled([dns.resolve4(name), dns.resolve6(name)]);
      const found = answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
      signal.throwIfAborted();
      if (found.length > 0) return found;
      throw unresolved(name, answers);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
    }
  }
}

/** Addresses that a hosts file gives a name, whatever they are: the guard judges them. */
async function addressesInHosts(file: string, name: string): Promise<string[]> {
  const text = await readFile(file, "utf8").catch(() => "");
  return text.split("\n").flatMap((line) => {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    return names.some((each) => each.toLowerCase().replace(/\.$/, "") === name) ? [address] : [];
  });
}

function unresolved(name: string, answers: readonly PromiseSettledResult<string[]>[]): DoorwardError {
  const codes = answers.map((answer) => (answer.status === "rejected" ? codeOf(answer.reason) : "ENODATA"));
  const code = codes.find((each) => each !== "ENODATA") ?? "ENODATA";
  return new DoorwardError({
    code: "EGRESS_UNRESOLVED",
    message: `Cannot reach "${name}": its name could not be resolved (${code})`,
    details: { reason: code },
  });
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "EUNKNOWN";
}
