import { existsSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { DoorwardError, Duration, MachineName, type UpRequest, type UpResult } from "@doorward/contracts";
import type { Command } from "commander";
import * as z from "zod";
import type { Cli } from "../cli.ts";
import { canAsk, confirm } from "../confirm.ts";
import { escapeLine } from "@doorward/client/operator";
import { parseOptions, usage } from "../parse-input.ts";
import { Progress } from "../progress.ts";
import { leaf, type Run } from "../run.ts";
import { parseSecretBinding } from "../secret-input.ts";
import { showUp, upDocument } from "../up-view.ts";

const Path = z
  .string()
  .min(1)
  .max(4096)
  .regex(/^[^\u0000]+$/, "a path has no NUL");
const UpOptions = z.object({
  profile: z.string().min(1).max(80).optional(),
  ro: z.array(Path).max(32).optional(),
  review: z.boolean().optional(),
  hide: z.array(z.string().min(1).max(200)).max(100).optional(),
  name: MachineName.optional(),
  image: z.string().min(1).max(200).optional(),
  ttl: Duration.optional(),
  secret: z.array(z.string().max(600)).max(20).optional(),
  new: z.boolean().optional(),
});
type UpOptions = z.infer<typeof UpOptions>;

/** `doorward up`. */
export function defineUp(command: Command, cli: Cli): void {
  addUpOptions(
    command.argument(
      "[repo...]",
      "folders that the machine sees; the git root of the current folder when left out",
    ),
  );
  command
    .option("--name <name>", "name of the machine")
    .option("--new", "another machine although one has these repos and this profile");
  leaf(
    command,
    cli,
    [
      "doorward up",
      "doorward up ~/src/shop --ro ~/src/library --ttl 4h",
      "doorward up --review . --hide '.env*'",
    ],
    async (run, [repos], options) => {
      const asked = Date.now();
      const result = await launch(run, upRequest(cli, stringList(repos), options));
      run.output.result(upDocument(result), () => showUp(run.output, result, asked));
      return 0;
    },
  );
}

/** Options that `up` and `run` share. */
export function addUpOptions(command: Command): Command {
  const collect = (value: string, before: readonly string[] | undefined): string[] => [
    ...(before ?? []),
    value,
  ];
  return command
    .option("--profile <name>", "profile of the policy; default when left out")
    .option("--ro <path>", "another repo, read-only; may be repeated", collect)
    .option("--review", "work on a private clone, whose changes are looked at before they come back")
    .option("--hide <glob>", "mask names in the repos; may be repeated", collect)
    .option("--image <image>", "local image instead of the profile's")
    .option(
      "--secret <binding>",
      "NAME=host,header[,env=VAR]: a placeholder whose value stays on the host; NAME=file hands it in; may be repeated",
      collect,
    )
    .option("--ttl <time>", "time after which it is stopped, e.g. 8h");
}

/** The request that a command line asks for; everything is checked before the bridge is asked. */
export function upRequest(cli: Cli, repos: readonly string[], given: unknown): UpRequest {
  const options: UpOptions = parseOptions(UpOptions, given);
  const writable = repos.length > 0 || options.ro !== undefined ? repos : [gitRoot(cli.cwd)];
  return {
    repos: [
      ...writable.map((path) => ({ path: absolute(cli, path) })),
      ...(options.ro ?? []).map((path) => ({ path: absolute(cli, path), access: "ro" as const })),
    ],
    ...definedUp(options),
  };
}

/** Asks the bridge for a machine; on a terminal, a repo that is not allowed yet is asked about once, and only it is added. */
export async function launch(run: Run, request: UpRequest): Promise<UpResult> {
  for (let asked = 0; ; asked += 1) {
    try {
      return await launchOnce(run, request);
    } catch (error) {
      const path = unlisted(error);
      if (path === undefined || asked === request.repos.length || run.output.json || !canAsk(run.cli))
        throw error;
      if (!(await allowed(run, request, path))) throw error;
    }
  }
}

/** Resolved path of a repo that lies under no allowed root, when that is why the bridge refused. */
function unlisted(error: unknown): string | undefined {
  if (!(error instanceof DoorwardError) || error.code !== "PATH_NOT_ALLOWED") return undefined;
  const resolved = error.details?.["resolved"];
  return typeof resolved === "string" ? resolved : undefined;
}

async function allowed(run: Run, request: UpRequest, path: string): Promise<boolean> {
  const readOnly = request.repos.every((repo) => repo.access === "ro");
  const how = readOnly ? "read it" : "read and write it";
  if (!(await confirm(run.cli, `"${escapeLine(path)}" is not in your policy yet. May machines ${how}?`)))
    return false;
  await using client = await run.client();
  const body = { path, access: readOnly ? ("ro" as const) : ("rw" as const) };
  await client.call("policy.allow", { body }, { signal: run.cli.signal });
  return true;
}

async function launchOnce(run: Run, request: UpRequest): Promise<UpResult> {
  using progress = new Progress(run.cli, run.output);
  progress.begin("Reaching the bridge");
  await using client = await run.client({ ready: true });
  progress.begin("Asking the policy");
  const result = await client.call(
    "machines.up",
    { body: request },
    { signal: run.cli.signal, onProgress: progress.line },
  );
  progress.done();
  return result;
}

/** Strings of a variadic argument. */
export function stringList(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}

/** The nearest folder at or above `folder` that holds `.git`, else the folder itself. No git is run for it. */
export function gitRoot(folder: string): string {
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(join(at, ".git"))) return at;
    if (dirname(at) === at) return folder;
  }
}

/** Paths go to the bridge absolute, but otherwise as they were written: judging them, and recording a refusal, is its. */
function absolute(cli: Cli, path: string): string {
  if (path === "") throw usage('Cannot use repo "": the path is empty', "repo");
  return isAbsolute(path) ? path : join(cli.cwd, "/") + path;
}

function definedUp(options: UpOptions): Omit<UpRequest, "repos"> {
  return {
    ...(options.profile === undefined ? {} : { profile: options.profile }),
    ...(options.name === undefined ? {} : { name: options.name }),
    ...(options.image === undefined ? {} : { image: options.image }),
    ...(options.ttl === undefined ? {} : { timeToLive: options.ttl }),
    ...(options.review === undefined ? {} : { review: options.review }),
    ...(options.hide === undefined ? {} : { hide: options.hide }),
    ...(options.secret === undefined ? {} : { secrets: options.secret.map(parseSecretBinding) }),
    ...(options.new === undefined ? {} : { fresh: options.new }),
  };
}
