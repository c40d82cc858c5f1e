import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { DOCUMENTS } from "../src/index.ts";

const root = new URL("../../../", import.meta.url);
const catalogue = page("docs/contracts.md");
const alignment = page("docs/alignment.md");
const hostActions = page("docs/host-actions.md");

/** The contracts whose every field has a row of its own. */
const FIELD_BY_FIELD = [
  "SecureHostInterfaceProfile",
  "HostInterfaceGrant",
  "TerminalDoor",
  "BrowserDoor",
  "EditorDoor",
  "AgentToolDoor",
  "AgentMachineProfile",
  "AgentMachineFingerprint",
  "AgentMachineMountEvidence",
];
/** Fields whose own fields have their rows elsewhere, or on another page. */
const TOLD_ELSEWHERE: ReadonlyMap<string, RegExp> = new Map([
  ["AgentMachineProfile", /^doors\./],
  ["AgentMachineFingerprint", /^(?:machine$|inputs\.)/],
]);
const STATES = [
  "enforced",
  "informative identity",
  "not built yet (refused at load)",
  "emitted",
  "never emitted",
];
const INVARIANTS = 7;

for (const [name, text] of [
  ["docs/contracts.md", catalogue],
  ["docs/alignment.md", alignment],
  ["docs/host-actions.md", hostActions],
] as const) {
  test(`every path that ${name} names exists`, () => {
    const paths = [...text.matchAll(/`((?:packages|test|docs)\/[^`\s]+)`/g)].map((match) => match[1] ?? "");
    assert.ok(paths.length > 20);
    assert.deepEqual(
      paths.filter((path) => !existsSync(new URL(path, root))),
      [],
    );
  });
}

test("the catalogue has a row for every type, with its file and its URN prefix", () => {
  for (const type of Object.keys(DOCUMENTS)) {
    const row = rows(section(catalogue, "Catalogue")).find((cells) => cells[1] === `\`${type}\``);
    assert.ok(row !== undefined, `${type} is missing`);
    assert.ok(
      page(row[0]?.replaceAll("`", "") ?? "").includes(`export const ${type} =`),
      `${type} is elsewhere`,
    );
    const prefix = /`(urn:srcos:[a-z-]+:)`/.exec(row[2] ?? "")?.[1];
    if (prefix === undefined) continue;
    const slug = prefix.split(":")[2] ?? "";
    assert.ok(JSON.stringify(schemaOf(type)["properties"]).includes(slug), type);
  }
});

for (const type of FIELD_BY_FIELD) {
  test(`the catalogue names every field of ${type}, and no other`, () => {
    const fields = rows(section(catalogue, type)).map(([field]) => (field ?? "").replaceAll("`", ""));
    const named = new Set(fields.map((field) => field.split(".")[0]));
    assert.deepEqual([...named].sort(), Object.keys(schemaOf(type)["properties"] ?? {}).sort());
    for (const field of fields) assert.ok(known(schemaOf(type), field.split(".")), `${type}.${field}`);
  });

  test(`the catalogue names what is inside of the fields of ${type}, where a bridge loads or makes it`, () => {
    const cells = rows(section(catalogue, type));
    if (!cells.some(([, , state]) => state === "enforced")) return;
    const fields = cells.map(([field]) => (field ?? "").replaceAll("`", ""));
    assert.deepEqual(fields.sort(), leaves(schemaOf(type), TOLD_ELSEWHERE.get(type) ?? /^$/).sort());
  });

  test(`the catalogue says of every field of ${type} whether it is enforced`, () => {
    for (const cells of rows(section(catalogue, type)))
      assert.ok(STATES.includes(cells[2] ?? ""), cells.join(" | "));
  });
}

test("each test that the alignment pages name is in its file", () => {
  const named = [...`${alignment}${hostActions}`.matchAll(/`([^`]+\.test\.ts)`: "([^"|]+)"/g)];
  assert.ok(named.length > 50, `${named.length} tests`);
  for (const [, file = "", name = ""] of named) {
    assert.ok(page(file).includes(name), `${file} has no test "${name}"`);
  }
});

test("the alignment page has every bullet and every invariant of the source", () => {
  assert.equal(rows(section(alignment, "Security invariants")).length, INVARIANTS);
  assert.equal(rows(section(alignment, "Scope")).length, 29);
});

function page(path: string): string {
  return readFileSync(new URL(path, root), "utf8");
}

function schemaOf(type: string): Record<string, unknown> {
  return JSON.parse(page(`packages/contracts/schemas/${type}.json`)) as Record<string, unknown>;
}

function section(text: string, title: string): string {
  const found = text.split(/^## /m).find((part) => part.startsWith(`${title}\n`));
  assert.ok(found !== undefined, `there is no section "${title}"`);
  return found;
}

/** Cells of the rows of a Markdown table, without its head. */
function rows(text: string): string[][] {
  const lines = text.split("\n").filter((line) => line.startsWith("|"));
  return lines.slice(2).map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** Paths of the fields of a schema; those of objects inside of it are written out. */
function leaves(schema: Record<string, unknown>, whole: RegExp, prefix = ""): string[] {
  const properties = (schema["properties"] ?? {}) as Record<string, Record<string, unknown>>;
  return Object.entries(properties).flatMap(([name, property]) => {
    const path = `${prefix}${name}`;
    const inner = whole.test(path) ? [] : leaves(property, whole, `${path}.`);
    return inner.length === 0 ? [path] : inner;
  });
}

function known(schema: Record<string, unknown>, path: readonly string[]): boolean {
  const [name, ...rest] = path;
  if (name === undefined) return true;
  const property = (schema["properties"] as Record<string, Record<string, unknown>> | undefined)?.[name];
  return property !== undefined && known(property, rest);
}
