import { DenialError } from "@doorward/contracts";
import { inRanges, readHost, specialRange } from "./addresses.ts";
import { dialAddresses, type Dialled } from "./dial.ts";
import { HostResolver, type Resolver } from "./resolver.ts";

/** What is to be reached. */
export interface GuardTarget {
  readonly scheme: "http" | "https" | "tcp";
  readonly host: string;
  readonly port: number;
  /** Ranges of an internal target that a rule names; null for the public internet alone. */
  readonly ranges: readonly string[] | null;
}

/** Limits of the guard. */
export interface GuardLimits {
  readonly connectMs: number;
  readonly staggerMs: number;
}

const DEFAULT_LIMITS: GuardLimits = { connectMs: 10_000, staggerMs: 250 };
const MOST_ADDRESSES = 64;
const SCHEMES: ReadonlySet<string> = new Set(["http", "https", "tcp"]);

/**
 * The one way by which the bridge connects to anything outside: reads the host, resolves it once, refuses it when any of
 * its addresses is special, and dials the very addresses that it judged.
 */
export class Guard {
  readonly #resolver: Resolver;
  readonly #limits: GuardLimits;

  constructor(resolver: Resolver = new HostResolver(), limits: Partial<GuardLimits> = {}) {
    this.#resolver = resolver;
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
  }

  /** Connects to a target. EGRESS_DENIED, EGRESS_ADDRESS_DENIED, EGRESS_UNRESOLVED or EGRESS_UNREACHABLE. */
  async dial(target: GuardTarget, signal: AbortSignal): Promise<Dialled> {
    const { host, port } = target;
    const addresses = await this.addresses(target, signal);
    const { connectMs, staggerMs } = this.#limits;
    return await dialAddresses(host, addresses, { port, signal, timeoutMs: connectMs, staggerMs });
  }

  /**
   * For redirects that the bridge follows itself: where an answer sends it is a new target, read against the URL that
   * answered, and judged as any other. Null when it must not be followed: other schemes, credentials, or a step from
   * https to http.
   */
  static redirect(from: URL, location: string): GuardTarget | null {
    const next = URL.canParse(location, from.href) ? new URL(location, from.href) : null;
    if (next === null || next.username !== "" || next.password !== "") return null;
    const scheme = next.protocol === "https:" ? "https" : next.protocol === "http:" ? "http" : null;
    if (scheme === null || (from.protocol === "https:" && scheme === "http")) return null;
    const port = next.port === "" ? (scheme === "https" ? 443 : 80) : Number(next.port);
    return { scheme, host: next.hostname, port, ranges: null };
  }

  /** The addresses of a target, each judged. */
  async addresses(target: GuardTarget, signal: AbortSignal): Promise<readonly string[]> {
    const { host, ranges } = target;
    refuseShape(target);
    const asked = readHost(host);
    if (asked.kind === "invalid") throw denied("EGRESS_DENIED", target, asked.why);
    if (asked.kind === "address") return [literal(target, asked.plain ? asked.address : null)];
    if (asked.local && ranges === null)
      throw denied("EGRESS_ADDRESS_DENIED", target, "it is a name for local use");
    const addresses = await this.#resolver.resolve(asked.name, signal);
    if (addresses.length === 0) throw denied("EGRESS_ADDRESS_DENIED", target, "it has no address");
    // None may go unjudged, and none is judged for nothing: no host of anybody has so many.
    if (addresses.length > MOST_ADDRESSES)
      throw denied("EGRESS_ADDRESS_DENIED", target, `it has more than ${MOST_ADDRESSES} addresses`);
    for (const address of addresses) judge(target, address);
    return addresses;
  }
}

/** An address may be asked for only as such, by a rule of that very address; only internal rules name one. */
function literal(target: GuardTarget, address: string | null): string {
  if (address === null || target.ranges === null) {
    throw denied("EGRESS_ADDRESS_DENIED", target, "hosts are reached by name, not by address");
  }
  judge(target, address);
  return address;
}

function judge(target: GuardTarget, address: string): void {
  const { ranges } = target;
  if (ranges !== null) {
    if (inRanges(address, ranges)) return;
    throw denied("EGRESS_ADDRESS_DENIED", target, `its address ${address} is not in ${ranges.join(", ")}`);
  }
  const special = specialRange(address);
  if (special !== null)
    throw denied("EGRESS_ADDRESS_DENIED", target, `its address ${address} is special (${special})`);
}

function refuseShape(target: GuardTarget): void {
  const { scheme, port } = target;
  if (!SCHEMES.has(scheme)) throw denied("EGRESS_DENIED", target, "only HTTP and TCP go out");
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw denied("EGRESS_DENIED", target, `"${port}" is not a port`);
  }
}

function denied(
  code: "EGRESS_DENIED" | "EGRESS_ADDRESS_DENIED",
  target: GuardTarget,
  why: string,
): DenialError {
  const { host, ranges } = target;
  return new DenialError({
    code,
    rule: ranges === null ? "egress.guard" : "egress.addresses",
    message: `Cannot reach "${host.slice(0, 300)}": ${why}`,
    hint:
      code === "EGRESS_ADDRESS_DENIED"
        ? "An internal host needs a rule with its addresses under egress.allow in policy.yaml"
        : undefined,
  });
}
