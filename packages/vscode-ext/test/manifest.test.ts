import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8");
const manifest = JSON.parse(read("../package.json")) as Readonly<Record<string, unknown>> & {
  readonly engines: { readonly vscode: string };
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly contributes: {
    readonly commands: readonly { readonly command: string }[];
    readonly menus: Readonly<Record<string, readonly { readonly command: string }[]>>;
  };
};

test("it runs beside the screen alone: never inside a machine, never in a browser's worker", () => {
  assert.deepEqual(manifest["extensionKind"], ["ui"]);
  assert.equal(manifest["browser"], undefined);
});

test("it uses no proposed interface, and types of exactly the oldest editor that it runs in", () => {
  assert.equal(manifest["enabledApiProposals"], undefined);
  assert.equal(manifest.engines.vscode, `^${manifest.devDependencies["@types/vscode"] ?? ""}`);
});

test("it takes nothing of a workspace: no settings of its own", () => {
  assert.equal(Reflect.get(manifest.contributes, "configuration"), undefined);
});

test("every command of a menu is there, and every command has code", () => {
  const named = manifest.contributes.commands.map(({ command }) => command);
  const used = Object.values(manifest.contributes.menus).flatMap((entries) =>
    entries.map(({ command }) => command),
  );
  assert.deepEqual(
    used.filter((command) => !named.includes(command)),
    [],
  );
  const code = read("../src/extension.ts");
  assert.deepEqual(
    named.filter((command) => !code.includes(`"${command}"`)),
    [],
  );
});
