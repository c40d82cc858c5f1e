import { spawn } from "node:child_process";
import { DoorwardError, isErrorCode } from "@doorward/contracts";
import type { PluginConfig } from "./plugin-config.ts";

const MAX_OUTPUT_CHARS = 8_388_608;

/** The operator's `doorward` command: it starts the bridge, launches machines and mints grants. */
export class DoorwardCommand {
  readonly #argv: readonly string[];
  readonly #env: NodeJS.ProcessEnv;

  constructor({ command = ["doorward"], home }: PluginConfig) {
    this.#argv = command;
    this.#env = home === undefined ? process.env : { ...process.env, DOORWARD_HOME: home };
  }

  /** Runs it with `--json` and answers its document; a refusal rejects with the command's own error. */
  async run(args: readonly string[]): Promise<unknown> {
    const [program = "", ...rest] = this.#argv;
    const child = spawn(program, [...rest, ...args, "--json"], {
      env: this.#env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const out = { stdout: "", stderr: "" };
    child.stdout
      .setEncoding("utf8")
      .on("data", (text: string) => (out.stdout += text.slice(0, room(out.stdout))));
    child.stderr
      .setEncoding("utf8")
      .on("data", (text: string) => (out.stderr += text.slice(0, room(out.stderr))));
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once("error", (cause) => reject(missing(program, cause)));
      child.once("close", resolve);
    });
    if (code !== 0) throw refusal(args, out.stderr);
    const document: unknown = JSON.parse(out.stdout);
    return document;
  }
}

function room(text: string): number {
  return Math.max(0, MAX_OUTPUT_CHARS - text.length);
}

function missing(program: string, cause: Error): DoorwardError {
  return new DoorwardError({
    code: "BRIDGE_UNREACHABLE",
    message: `Cannot run "${program}": ${cause.message}`,
    hint: `Install Doorward, or set plugins.entries.doorward.config.command`,
    cause,
  });
}

/** Errors of the command are problem documents on stderr, after what it tells people. */
function refusal(args: readonly string[], stderr: string): DoorwardError {
  const problem = problemIn(stderr);
  if (problem === undefined) {
    const said = stderr.trim().slice(-500);
    return new DoorwardError({
      code: "INTERNAL",
      message: `Cannot run "doorward ${args.slice(0, 2).join(" ")}": ${said === "" ? "it failed" : said}`,
    });
  }
  const { code, detail, hint } = problem;
  return new DoorwardError({ code, message: detail, ...(hint === undefined ? {} : { hint }) });
}

interface Told {
  readonly code: DoorwardError["code"];
  readonly detail: string;
  readonly hint: string | undefined;
}

function problemIn(stderr: string): Told | undefined {
  const at = stderr.indexOf("{");
  try {
    const { code, detail, title, hint } = fieldsOf(JSON.parse(stderr.slice(Math.max(0, at))));
    if (!isErrorCode(code)) return undefined;
    return { code, detail: detail === "" ? title : detail, hint: hint === "" ? undefined : hint };
  } catch {
    return undefined;
  }
}

function fieldsOf(value: unknown): Record<"code" | "detail" | "title" | "hint", string> {
  const fields = new Map(Object.entries(typeof value === "object" && value !== null ? value : {}));
  const text = (name: string): string => {
    const field: unknown = fields.get(name);
    return typeof field === "string" ? field : "";
  };
  return { code: text("code"), detail: text("detail"), title: text("title"), hint: text("hint") };
}
