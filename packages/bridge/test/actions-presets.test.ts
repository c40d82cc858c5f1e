import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ACTION_PRESETS } from "@doorward/contracts";
import { ArgumentRefusal, compiled, matchCommand } from "../src/actions/arguments/index.ts";
import { ACTION_PRESET_SPECS } from "../src/actions/presets/index.ts";
import { isInterpreter } from "../src/actions/scopes/index.ts";
import { commandLine } from "./actions-lab.ts";

for (const name of ACTION_PRESETS) {
  const spec = ACTION_PRESET_SPECS[name];
  describe(`the preset ${name}`, () => {
    it("has an example of at least five command lines and refuses at least fifteen", () => {
      assert.ok(spec.examples.length >= 5, String(spec.examples.length));
      assert.ok(spec.refused.length >= 15, String(spec.refused.length));
    });
    for (const line of spec.examples) {
      it(`allows: ${line}`, () => {
        const { program, args } = commandLine(name, line);
        const { rule } = matchCommand(args, spec.scope, program);
        assert.equal(rule.effect === "write" ? rule.confirm : "always", "always");
      });
    }
    for (const { line, why } of spec.refused) {
      it(`refuses: ${line} (${why})`, () => {
        const { program, args } = commandLine(name, line);
        // Paths are judged by their place afterwards; no preset has a path root of its own.
        assert.throws(
          () => assert.deepEqual(matchCommand(args, spec.scope, program).paths, []),
          (error: unknown) => error instanceof ArgumentRefusal || error instanceof assert.AssertionError,
        );
      });
    }
    it("refuses an empty list of arguments", () => {
      assert.throws(
        () => matchCommand([], spec.scope, spec.places[0]?.split("/").at(-1) ?? ""),
        ArgumentRefusal,
      );
    });
    it("lets no request set a variable", () => assert.equal(spec.scope.environment?.request, undefined));
    it("has no interpreter among its programs, and only patterns that compile", () => {
      for (const place of spec.places) assert.equal(isInterpreter(place), false, place);
      for (const pattern of patternsOf(spec.scope)) assert.ok(compiled(pattern));
    });
    it("gives no flag two meanings in one command", () => {
      for (const rule of spec.scope.commands) {
        const names = [...(spec.scope.globalFlags ?? []), ...(rule.flags ?? [])].flatMap(
          (flag) => flag.names,
        );
        assert.deepEqual(names, [...new Set(names)], rule.words.join(" "));
      }
    });
  });
}

function patternsOf(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  const own = "pattern" in value && typeof value.pattern === "string" ? [value.pattern] : [];
  return [...own, ...Object.values(value).flatMap(patternsOf)];
}
