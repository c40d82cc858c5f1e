import type { EgressAllowance, EgressPreset, EgressRule, EgressSpec } from "@doorward/contracts";
import { EGRESS_PRESET_RULES } from "./presets.ts";

/** A rule in force for one machine. */
export interface EffectiveRule {
  readonly host: string;
  readonly ports: readonly number[];
  /** Where it comes from, in words. */
  readonly source: string;
  readonly ranges: readonly string[] | null;
  readonly tls: "blind" | "open";
  readonly methods: readonly string[] | null;
  readonly paths: readonly string[] | null;
  readonly ca: string | null;
  /** Most that one connection may move; null without a limit. */
  readonly maxMiB: number | null;
  /** Whether a command gave it to this machine. */
  readonly given: boolean;
}

/** Everything that decides what one machine may reach. */
export interface EffectiveRules {
  readonly rules: readonly EffectiveRule[];
  /** What the policy denies, whatever a command allows. */
  readonly deny: readonly string[];
  /** What commands denied: a later allowance by command opens what it names. */
  readonly closed: readonly string[];
  readonly presets: readonly EgressPreset[];
  readonly askSeconds: number;
}

/** What decides about a target: a rule that allows it, a pattern that denies it, or nothing. */
export type Verdict =
  | { readonly kind: "allowed"; readonly rule: EffectiveRule }
  | { readonly kind: "denied"; readonly pattern: string }
  | { readonly kind: "unknown" };

/** What makes up the rules of a machine. */
export interface RuleSources {
  readonly policy: EgressSpec;
  readonly profile: { readonly name: string; readonly egress: EgressSpec };
  readonly allowances: readonly EgressAllowance[];
}

/** The rules of a machine: those of the policy, of its profile, and what commands allowed and denied. */
export function effectiveRules({ policy, profile, allowances }: RuleSources): EffectiveRules {
  const presets = [...new Set([...policy.presets, ...profile.egress.presets])];
  const given = allowances.filter(({ effect }) => effect === "allow");
  const closed = allowances.filter(({ effect }) => effect === "deny").map(({ host }) => host);
  return {
    rules: [
      ...policy.allow.map((rule) => effective(rule, `policy: ${rule.host}`)),
      ...profile.egress.allow.map((rule) => effective(rule, `profile ${profile.name}: ${rule.host}`)),
      ...presets.flatMap((preset) =>
        EGRESS_PRESET_RULES[preset].map((rule) => effective(rule, `preset ${preset}`)),
      ),
      ...given.map(({ host, ports, expiresAt }) => ({
        ...effective(
          { host, ports },
          expiresAt === null ? "allowed by command" : `allowed until ${expiresAt}`,
        ),
        given: true,
      })),
    ],
    deny: [...new Set([...policy.deny, ...profile.egress.deny])],
    closed: [...new Set(closed)],
    presets,
    askSeconds: Math.max(policy.askSeconds, profile.egress.askSeconds),
  };
}

/**
 * Decides about a name and port. A denial of the policy wins over everything. One by command wins over every rule but an
 * allowance by command that was given after it (a denial ends those before), for that very name or for exactly the
 * pattern that was denied: a wider allowance opens no hole in a narrower denial. Of several rules that fit, the one that names the host
 * exactly comes before a wildcard, and one that restricts what is done there before one that does not, so that an
 * allowance by command never loosens what the policy restricts.
 */
export function decide({ rules, deny, closed }: EffectiveRules, host: string, port: number): Verdict {
  const pattern = deny.find((each) => matches(each, host));
  if (pattern !== undefined) return { kind: "denied", pattern };
  const fitting = rules.filter((rule) => rule.ports.includes(port) && matches(rule.host, host));
  const closing = closed.filter((each) => matches(each, host));
  const unlifted = closing.find(
    (each) => !fitting.some((rule) => rule.given && (rule.host === host || rule.host === each)),
  );
  if (unlifted !== undefined) return { kind: "denied", pattern: unlifted };
  const [rule] = fitting.toSorted((one, other) => rank(one) - rank(other));
  return rule === undefined ? { kind: "unknown" } : { kind: "allowed", rule };
}

/** Whether a pattern names a host: itself, or with a leading `*.` any one label in front. */
export function matches(pattern: string, host: string): boolean {
  if (!pattern.startsWith("*.")) return pattern === host;
  const dot = host.indexOf(".");
  return dot > 0 && host.slice(dot) === pattern.slice(1);
}

/** Whether an allowance for these ports leaves nothing closed of what the rules in force open at a host or pattern. */
export function opensAll({ rules }: EffectiveRules, host: string, ports: readonly number[]): boolean {
  const touching = rules.filter(
    (rule) => rule.host === host || matches(rule.host, host) || matches(host, rule.host),
  );
  return touching.every((rule) => rule.ports.every((port) => ports.includes(port)));
}

/** Whether two rules let the same be done at a host, wherever they come from. */
export function sameEffect(one: EffectiveRule, other: EffectiveRule): boolean {
  return effectOf(one) === effectOf(other);
}

/** What a rule lets be done, as one text. */
export function effectOf({ ranges, tls, methods, paths, ca, maxMiB }: EffectiveRule): string {
  return JSON.stringify([ranges, tls, methods, paths, ca, maxMiB]);
}

function rank({ host, tls, ranges, methods, paths, maxMiB }: EffectiveRule): number {
  const restricted =
    ranges !== null || maxMiB !== null || tls === "open" || methods !== null || paths !== null;
  return (host.startsWith("*.") ? 2 : 0) + (restricted ? 0 : 1);
}

function effective(rule: EgressRule, source: string): EffectiveRule {
  const { host, ports, addresses, tls, methods, paths, ca, maxMiB } = rule;
  return {
    host,
    ports: ports ?? [443],
    source,
    ranges: addresses ?? null,
    tls: tls ?? "blind",
    methods: methods ?? null,
    paths: paths ?? null,
    ca: ca ?? null,
    maxMiB: maxMiB ?? null,
    given: false,
  };
}
