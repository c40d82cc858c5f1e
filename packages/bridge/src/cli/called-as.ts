import { accessSync, constants, existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Cli } from "./cli.ts";
import { shellWord } from "./shell-word.ts";

/**
 * What has to be typed in this folder for this command: `doorward` where the PATH has it, `npx doorward` in a checkout,
 * and else the path it was started by. `npx` elsewhere would ask the registry for a stranger's package of that name.
 */
export function calledAs({ env, cwd }: Pick<Cli, "env" | "cwd">, script: string | undefined): string {
  if (script === undefined || !/^doorward(?:\.js)?$/.test(basename(script))) return "doorward";
  if (foldersOf(env["PATH"]).some((folder) => isProgram(join(folder, "doorward")))) return "doorward";
  if (isCheckout(cwd)) return "npx doorward";
  return shellWord(script);
}

/** Text for people in which every `doorward` that begins a command is what has to be typed here. */
export function asCalled(text: string, name: string): string {
  return name === "doorward" ? text : text.replaceAll(/(?<![\w/.'"-])doorward (?=[a-z])/g, () => `${name} `);
}

/** npm puts `node_modules/.bin` there for a command's time only, so that says nothing about the user's shell. */
function foldersOf(path: string | undefined): readonly string[] {
  return (path ?? "").split(":").filter((folder) => folder.startsWith("/") && !folder.endsWith("/.bin"));
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function isCheckout(folder: string): boolean {
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(join(at, "node_modules", ".bin", "doorward"))) return true;
    if (dirname(at) === at) return false;
  }
}
