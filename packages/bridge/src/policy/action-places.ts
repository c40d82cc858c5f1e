import { lstatSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { ActionPolicy, Policy } from "@doorward/contracts";
import { ACTION_PRESET_SPECS } from "../actions/presets/index.ts";
import { actionPaths, interpreterProblems, type PolicyPathUse } from "./action-problems.ts";
import { denyPlaces, findDenied, liesIn, type DenyPlace } from "./deny-list.ts";
import type { PathHost } from "./path-host.ts";
import { expandPath } from "./path-text.ts";
import type { FieldProblem } from "./strict-text.ts";

/** Folders that are never a root of file operations as a whole; what lies below may be, file by file. */
const WHOLE = new Set([
  "/",
  "/etc",
  "/usr",
  "/usr/local",
  "/var",
  "/opt",
  "/srv",
  "/home",
  "/root",
  "/lib",
  "/tmp",
  "/var/lib",
  "/mnt",
]);

/** Places where a file decides who may do what on the host: no root lies in them. */
const SYSTEM_KEYS = [
  "/dev",
  "/proc",
  "/sys",
  "/boot",
  "/run",
  "/etc/sudoers",
  "/etc/sudoers.d",
  "/etc/shadow",
  "/etc/gshadow",
  "/etc/passwd",
  "/etc/group",
  "/etc/pam.d",
  "/etc/ssh",
  "/etc/ssl/private",
  "/etc/ld.so.preload",
  "/etc/ld.so.conf",
  "/etc/ld.so.conf.d",
  "/etc/cron.d",
  "/etc/cron.hourly",
  "/etc/cron.daily",
  "/etc/cron.weekly",
  "/etc/cron.monthly",
  "/etc/crontab",
  "/var/spool/cron",
  "/etc/init.d",
  "/etc/rc.local",
  "/etc/environment",
  "/etc/security",
  "/etc/doas.conf",
  "/etc/udev",
  "/etc/modprobe.d",
  "/etc/bash.bashrc",
  "/etc/systemd",
  "/etc/profile",
  "/etc/profile.d",
  "/etc/polkit-1",
  "/etc/hosts",
  "/bin",
  "/sbin",
  "/lib",
  "/usr/bin",
  "/usr/sbin",
  "/usr/lib",
  "/usr/local/bin",
  "/usr/local/sbin",
  "/usr/local/lib",
];

/**
 * What the host makes wrong in the actions of a policy: working folders, arguments, programs and file roots that a machine
 * can write to, since the tools of presets run code from there; denied places; links that lead to one of these.
 */
export function actionPlaceProblems(policy: Policy, host: PathHost): FieldProblem[] {
  const { actions } = policy;
  if (actions === undefined) return [];
  const writable = writableRoots(policy, host);
  const denied = resolvedPlaces(policy, host);
  return [
    ...actionPaths(actions).flatMap((use) => placeProblems(use, { writable, denied, host })),
    ...configurationProblems(actions, { writable, denied, host }),
    ...linkedInterpreters(actions, host),
    ...selfMadeCode(actions, host),
  ];
}

interface WritableRoot {
  readonly path: string;
  readonly shown: string;
}

interface Places {
  readonly writable: readonly WritableRoot[];
  readonly denied: readonly DenyPlace[];
  readonly host: PathHost;
}

function writableRoots(policy: Policy, host: PathHost): WritableRoot[] {
  return policy.roots
    .filter(({ access }) => access === "rw")
    .map(({ path }) => ({ path: resolvedNow(expandPath(path, host.home)), shown: path }));
}

function resolvedPlaces(policy: Policy, host: PathHost): DenyPlace[] {
  const extra = (policy.deny ?? []).map((path) => expandPath(path, host.home));
  const places = denyPlaces(host, extra);
  return [...places, ...places.map((place) => ({ ...place, path: resolvedNow(place.path) }))];
}

function placeProblems(use: PolicyPathUse, { writable, denied, host }: Places): FieldProblem[] {
  const resolved = resolvedNow(expandPath(use.text, host.home));
  const fold = host.caseInsensitive;
  const shown = use.text;
  const machine = writable.find(
    ({ path }) =>
      liesIn(resolved, path, fold) ||
      (use.use !== "program" && use.use !== "variable" && liesIn(path, resolved, fold)),
  );
  if (machine !== undefined)
    return [
      {
        path: use.path,
        what: `"${shown}" and the root "${machine.shown}", which machines may write to, overlap`,
      },
    ];
  const why = deniedFor(resolved, use, denied, fold);
  return why === null ? [] : [{ path: use.path, what: `"${shown}" ${why}` }];
}

function deniedFor(
  resolved: string,
  { use }: PolicyPathUse,
  denied: readonly DenyPlace[],
  fold: boolean,
): string | null {
  if (use === "program" || use === "variable") return null;
  // The system's folders are for machines never to see; an operator's own action may work in one.
  const places = denied.filter(({ rule }) => rule !== "policy.paths.deny[system]");
  const match = findDenied(resolved, places, fold);
  if (match !== undefined) {
    const verb = match.how === "is" ? "is" : match.how === "inside" ? "lies in" : "contains";
    return `${verb} "${match.place.path}" (${match.place.what})`;
  }
  if (use !== "files") return null;
  if (WHOLE.has(resolved)) return "is too wide for file operations: name folders or files in it";
  const key = SYSTEM_KEYS.find((place) => liesIn(resolved, place, fold) || liesIn(place, resolved, fold));
  return key === undefined ? null : `holds or lies in "${key}", which decides who may do what on this host`;
}

/** A preset's tool runs code from its own configuration in the home folder; that must not be a machine's to write. */
function configurationProblems(actions: ActionPolicy, { writable, denied, host }: Places): FieldProblem[] {
  return (actions.presets ?? []).flatMap(({ preset }, at) =>
    ACTION_PRESET_SPECS[preset].configuration.flatMap((name): FieldProblem[] => {
      const place = resolvedNow(join(host.home, name));
      const machine = writable.find(({ path }) => liesIn(place, path, host.caseInsensitive));
      const safe = findDenied(place, denied, host.caseInsensitive, ["is", "inside"]) !== undefined;
      if (machine === undefined || safe) return [];
      const what = `its configuration "~/${name}" lies in the root "${machine.shown}", which machines may write to`;
      return [{ path: ["actions", "presets", at, "preset"], what }];
    }),
  );
}

/** A harmless name may be a link to an interpreter. */
function linkedInterpreters(actions: ActionPolicy, host: PathHost): FieldProblem[] {
  const own = (actions.processes ?? []).flatMap((scope, at) => {
    const programs = scope.executables.map(({ path }) => resolvedNow(expandPath(path, host.home)));
    return interpreterProblems(scope, programs, ["actions", "processes", at]);
  });
  const presets = (actions.presets ?? []).flatMap(({ preset, executables }, at) => {
    const names = new Set(ACTION_PRESET_SPECS[preset].places.map((place) => basename(place)));
    return (executables ?? []).flatMap((path, index): FieldProblem[] => {
      const here = ["actions", "presets", at, "executables", index];
      if (!names.has(basename(path)))
        return [{ path: here, what: `"${path}" is none of the preset's programs: ${[...names].join(", ")}` }];
      return [];
    });
  });
  return [...own, ...presets];
}

/** Files that are written without a confirmation must not be what a command reads its orders from. */
function selfMadeCode(actions: ActionPolicy, host: PathHost): FieldProblem[] {
  const uses = actionPaths(actions).map((use) => ({
    ...use,
    at: resolvedNow(expandPath(use.text, host.home)),
  }));
  const read = [...uses.filter(({ use }) => use !== "files"), ...unnamed(actions, host)];
  return uses.flatMap((use): FieldProblem[] => {
    const scope = use.use === "files" ? actions.files?.[Number(use.path[2])] : undefined;
    if (scope?.confirm !== "never") return [];
    const other = read.find(({ at }) => liesIn(at, use.at) || liesIn(use.at, at));
    if (other === undefined) return [];
    const what = `"${use.text}" is written without a confirmation, and a process scope uses "${other.text}"`;
    return [{ path: use.path, what }];
  });
}

/** What a preset's tool runs or obeys without being named in the policy: its usual places and its configuration. */
function unnamed(actions: ActionPolicy, host: PathHost): { readonly text: string; readonly at: string }[] {
  return (actions.presets ?? []).flatMap(({ preset, executables }) => {
    const { places, configuration } = ACTION_PRESET_SPECS[preset];
    const programs = executables === undefined ? places : [];
    const texts = [...programs, ...configuration.map((name) => `~/${name}`)];
    return texts.map((text) => ({ text, at: resolvedNow(expandPath(text, host.home)) }));
  });
}

/** Where a path leads now, as far as it exists. */
function resolvedNow(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const parent = dirname(path);
    return parent === path || isDangling(path) ? path : join(resolvedNow(parent), basename(path));
  }
}

function isDangling(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
}
