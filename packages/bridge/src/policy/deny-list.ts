import { lstatSync } from "node:fs";
import { realpath } from "node:fs/promises";
import { join, sep } from "node:path";
import { HOME_PLACES, SYSTEM_PLACES } from "./deny-places.ts";
import type { PathHost } from "./path-host.ts";

/** A place that is never given to a machine, nor any folder that contains it. */
export interface DenyPlace {
  /** Stable id, e.g. `policy.paths.deny[ssh]`. */
  readonly rule: string;
  readonly path: string;
  /** Whether what lies below is denied too; a home folder is denied only as a whole. */
  readonly below: boolean;
  /** What is kept there. */
  readonly what: string;
}

/** A deny rule that a path falls under, and how. */
export interface DenyMatch {
  readonly place: DenyPlace;
  readonly how: "is" | "inside" | "contains";
}

/** Stable id of a built-in deny rule. */
function denyRule(name: string): string {
  return `policy.paths.deny[${name}]`;
}

/** Every denied place of a host, as written; `extra` are the policy file's own, `~` already replaced. */
export function denyPlaces(host: PathHost, extra: readonly string[]): DenyPlace[] {
  const homes = [host.home, ...host.otherHomes];
  const places = [
    { rule: denyRule("root"), path: sep, below: false, what: "the whole file system" },
    ...homes.flatMap((home) => homePlaces(home, home === host.home ? "this" : "another")),
    ...host.ownFolders.map((path) => tree("doorward", path, "Doorward's own keys, policy and evidence")),
    ...host.engineSockets.map((path) => tree("engine-socket", path, "the socket of a container engine")),
    ...SYSTEM_PLACES[host.platform].map((path) => tree("system", path, "the system's own files")),
  ];
  const own = extra.map((path, index) => ({
    rule: `policy.deny[${index}]`,
    path,
    below: true,
    what: "a path denied in the policy file",
  }));
  return [...own, ...places];
}

function homePlaces(home: string, whose: string): DenyPlace[] {
  const inside = HOME_PLACES.flatMap(({ rule, what, paths }) =>
    paths.map((path) => tree(rule, join(home, path), what)),
  );
  return [
    { rule: denyRule("home"), path: home, below: false, what: `${whose} user's whole home folder` },
    ...inside,
  ];
}

function tree(name: string, path: string, what: string): DenyPlace {
  return { rule: denyRule(name), path, below: true, what };
}

/** Adds where symlinked places really are: `~/.ssh` may be a link into a folder that looks harmless. */
export async function withTargets(places: readonly DenyPlace[]): Promise<DenyPlace[]> {
  const links = new Links();
  const linked = places.filter((place) => links.leadsElsewhere(place.path));
  const targets = await Promise.all(
    linked.map(async (place) => ({ ...place, path: await realpath(place.path).catch(() => place.path) })),
  );
  return [...places, ...targets.filter(({ path }, index) => path !== linked[index]?.path)];
}

/** Looks for symlinks on the way to paths. Resolving each of some hundred places, most of them absent, takes 20 ms. */
class Links {
  readonly #seen = new Map<string, "link" | "absent" | "plain">();

  leadsElsewhere(path: string): boolean {
    for (let end = path.indexOf(sep, 1); ; end = path.indexOf(sep, end + 1)) {
      const kind = this.#kindOf(end < 0 ? path : path.slice(0, end));
      if (kind !== "plain" || end < 0) return kind === "link";
    }
  }

  #kindOf(path: string): "link" | "absent" | "plain" {
    const known = this.#seen.get(path);
    if (known !== undefined) return known;
    const kind = look(path);
    this.#seen.set(path, kind);
    return kind;
  }
}

function look(path: string): "link" | "absent" | "plain" {
  try {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found === undefined) return "absent";
    return found.isSymbolicLink() ? "link" : "plain";
  } catch {
    // Somebody else's folder that we can't look into leads nowhere that we could mount.
    return "absent";
  }
}

/** First place that a path is, lies in, or contains, if that kind counts; undefined when there is none. */
export function findDenied(
  path: string,
  places: readonly DenyPlace[],
  caseInsensitive: boolean,
  kinds: readonly DenyMatch["how"][] = ["is", "inside", "contains"],
): DenyMatch | undefined {
  const asked = fold(path, caseInsensitive);
  for (const place of places) {
    const how = relation(asked, fold(place.path, caseInsensitive), place.below);
    if (how !== null && kinds.includes(how)) return { place, how };
  }
  return undefined;
}

/** Whether `path` is `folder` or lies in it. */
export function liesIn(path: string, folder: string, caseInsensitive = false): boolean {
  const [inner, outer] = [fold(path, caseInsensitive), fold(folder, caseInsensitive)];
  return inner === outer || inner.startsWith(outer.endsWith(sep) ? outer : outer + sep);
}

function relation(asked: string, place: string, below: boolean): DenyMatch["how"] | null {
  if (asked === place) return "is";
  if (below && liesIn(asked, place)) return "inside";
  return liesIn(place, asked) ? "contains" : null;
}

function fold(path: string, caseInsensitive: boolean): string {
  return caseInsensitive ? path.normalize("NFC").toLowerCase() : path;
}
