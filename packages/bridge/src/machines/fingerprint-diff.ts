/** One difference between two fingerprints' inputs, at a path such as `profile.limits.pids` or `mounts[/workspace/app].access`. */
export interface FingerprintChange {
  readonly path: string;
  /** What only the second has, only the first has, or both have differently. */
  readonly kind: "added" | "removed" | "changed";
  readonly from?: unknown;
  readonly to?: unknown;
}

/**
 * Differences between two JSON values, by path: mounts are matched by their target and lists of plain values are compared
 * as sets, because their order says nothing.
 */
export function diffInputs(before: unknown, after: unknown, path = ""): FingerprintChange[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  if (before === undefined) return [{ path, kind: "added", to: after }];
  if (after === undefined) return [{ path, kind: "removed", from: before }];
  if (Array.isArray(before) && Array.isArray(after)) return diffLists(before, after, path);
  if (isObject(before) && isObject(after)) return diffObjects(before, after, path);
  return [{ path, kind: "changed", from: before, to: after }];
}

function diffObjects(
  before: Readonly<Record<string, unknown>>,
  after: Readonly<Record<string, unknown>>,
  path: string,
): FingerprintChange[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return names.flatMap((name) => diffInputs(own(before, name), own(after, name), join(path, name)));
}

function diffLists(before: readonly unknown[], after: readonly unknown[], path: string): FingerprintChange[] {
  const [old, fresh] = [keyed(before), keyed(after)];
  const keys = [...new Set([...old.keys(), ...fresh.keys()])].sort();
  const changes = keys.flatMap((key) => {
    const named = isObject(old.get(key) ?? fresh.get(key));
    return diffInputs(old.get(key), fresh.get(key), named ? `${path}[${key}]` : path);
  });
  // The same items in another order, or one of them twice: the digests differ, so it is said.
  return changes.length > 0 ? changes : [{ path, kind: "changed", from: before, to: after }];
}

/** Items of a list by what makes them the same item: a mount's target, or the value itself. */
function keyed(items: readonly unknown[]): Map<string, unknown> {
  return new Map(
    items.map((item, at) => {
      const target = isObject(item) ? item["target"] : undefined;
      if (typeof target === "string") return [target, item];
      return [isObject(item) ? String(at) : JSON.stringify(item), item];
    }),
  );
}

function join(path: string, name: string): string {
  const plain = /^[A-Za-z_][A-Za-z0-9_-]*$/.test(name);
  if (!plain) return `${path}[${JSON.stringify(name)}]`;
  return path === "" ? name : `${path}.${name}`;
}

function own(object: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
