import type { ActionPolicy, Policy, PolicyGrantRule } from "@doorward/contracts";
import { isMap, isSeq, parseDocument, type Document } from "yaml";
import { expandPath } from "./path-text.ts";

const NEW_FILE = `# What Doorward may give to machines. Every field: doorward policy show, docs/policy.md
version: 1
roots: []
`;

/** The text of a policy file with an allowed root added, or its access changed; comments stay. */
export function withRoot(
  text: string | null,
  policy: Policy,
  path: string,
  access: "ro" | "rw",
  home: string,
): string {
  const document = read(text);
  const at = rootIndex(policy, path, home);
  if (at >= 0) document.setIn(["roots", at, "access"], access);
  else {
    const roots = document.get("roots", true);
    if (isSeq(roots)) roots.flow = false;
    document.addIn(["roots"], document.createNode({ path, access }));
  }
  return write(document);
}

/** The text of a policy file without an allowed root; null when it has none of this path. */
export function withoutRoot(text: string, policy: Policy, path: string, home: string): string | null {
  const at = rootIndex(policy, path, home);
  if (at < 0) return null;
  const document = read(text);
  document.deleteIn(["roots", at]);
  return write(document);
}

/** A preset of actions as the policy file has it. */
export type EnabledPreset = NonNullable<ActionPolicy["presets"]>[number];

/** The text of a policy file with a preset enabled, or changed where it is named already; comments stay. */
export function withPreset(text: string | null, policy: Policy, entry: EnabledPreset): string {
  const document = read(text);
  const known = policy.actions?.presets ?? [];
  const at = known.findIndex(({ preset }) => preset === entry.preset);
  if (at >= 0) {
    for (const [key, value] of Object.entries(entry)) document.setIn(["actions", "presets", at, key], value);
  } else if (known.length > 0) {
    document.addIn(["actions", "presets"], document.createNode(entry));
  } else document.setIn(["actions", "presets"], document.createNode([entry]));
  return write(document);
}

/** The text of a policy file with a rule of grants added; comments stay. */
export function withGrantRule(text: string | null, policy: Policy, rule: PolicyGrantRule): string {
  const document = read(text);
  if ((policy.grants ?? []).length > 0) document.addIn(["grants"], document.createNode(rule));
  else document.setIn(["grants"], document.createNode([rule]));
  return write(document);
}

function read(text: string | null): Document {
  const document = parseDocument(text ?? NEW_FILE);
  if (!isMap(document.contents)) document.contents = parseDocument(NEW_FILE).contents;
  return document;
}

function write(document: Document): string {
  return document.toString({ lineWidth: 0, flowCollectionPadding: true });
}

function rootIndex(policy: Policy, path: string, home: string): number {
  const wanted = expandPath(path, home);
  return policy.roots.findIndex((root) => expandPath(root.path, home) === wanted);
}
