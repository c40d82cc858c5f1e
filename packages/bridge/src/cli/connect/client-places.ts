import { homedir } from "node:os";
import { join } from "node:path";
import type { Cli } from "../cli.ts";

/** The user's home folder. */
export function home(env: Cli["env"]): string {
  return env["HOME"] || homedir();
}

/** Where Codex keeps its configuration. */
export function codexHome(env: Cli["env"]): string {
  return env["CODEX_HOME"] || join(home(env), ".codex");
}

/** OpenClaw's configuration. */
export function openclawConfig(env: Cli["env"]): string {
  const folder = env["OPENCLAW_STATE_DIR"] || join(home(env), ".openclaw");
  return env["OPENCLAW_CONFIG_PATH"] || join(folder, "openclaw.json");
}
