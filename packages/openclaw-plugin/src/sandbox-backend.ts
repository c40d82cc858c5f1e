import { fileURLToPath } from "node:url";
import {
  buildRemoteWorkdirValidationCommand,
  createRemoteShellSandboxFsBridge,
} from "openclaw/plugin-sdk/sandbox";
import type { Access } from "./access.ts";
import { handOver, type ExecRequest } from "./exec-request.ts";
import type { Machine } from "./machine.ts";
import { runArgv, runScript, type Place, type ShellScript } from "./run-in-machine.ts";

/** Id that `agents.defaults.sandbox.backend` names. */
export const BACKEND_ID = "doorward";

/** What is made when a sandbox is first used. */
export interface BackendParts {
  readonly machine: Machine;
  readonly workdir: string;
  /** Where the agent's own workspace is, if that is another folder. */
  readonly agentWorkdir: string;
  readonly access: Access;
  readonly env: Readonly<Record<string, string>> | undefined;
  readonly assertCurrent: (() => void) | undefined;
}

interface ExecParams {
  readonly command: string;
  readonly workdir?: string;
  readonly env: Readonly<Record<string, string>>;
  readonly usePty: boolean;
}

const execChild = fileURLToPath(new URL("./exec-child.js", import.meta.url));

/**
 * A machine as OpenClaw's sandbox: exec spawns a small program of ours, file tools go straight to the machine. Nothing is
 * copied, because the workspace is mounted there.
 */
export function createBackend(parts: BackendParts): object {
  const { machine, workdir, agentWorkdir, access, env, assertCurrent } = parts;
  const place: Place = { machine: machine.id, workdir, access };
  const script = async (shell: ShellScript): Promise<object> => {
    assertCurrent?.();
    return await runScript(place, shell);
  };
  const handle = {
    id: BACKEND_ID,
    runtimeId: machine.name,
    runtimeLabel: machine.name,
    configLabel: machine.profile,
    configLabelKind: "Profile",
    workdir,
    env,
    remoteWorkspaceDir: workdir,
    remoteAgentWorkspaceDir: agentWorkdir,
    workdirRoots: [...new Set([workdir, agentWorkdir])],
    workdirValidation: "backend",
    validateWorkdir: (wanted: string) => validateWorkdir(place, wanted, [agentWorkdir, workdir]),
    buildExecSpec: (params: ExecParams) => execSpec(place, params, assertCurrent),
    runShellCommand: script,
    runRemoteShellScript: script,
    createFsBridge: ({ sandbox }: { readonly sandbox: unknown }) =>
      createRemoteShellSandboxFsBridge({ sandbox, runtime: handle }),
  };
  return handle;
}

async function execSpec(
  { machine, workdir, access }: Place,
  { command, workdir: wanted, env, usePty }: ExecParams,
  assertCurrent: (() => void) | undefined,
): Promise<object> {
  assertCurrent?.();
  const request: ExecRequest = {
    ...(await access.credentials()),
    machine,
    argv: usePty ? ["script", "-qefc", command, "/dev/null"] : ["/bin/sh", "-c", command],
    cwd: wanted ?? workdir,
    env: usePty ? { TERM: "xterm-256color", ...env } : { ...env },
  };
  return {
    argv: [process.execPath, execChild, handOver(request)],
    env: { PATH: process.env["PATH"] ?? "" },
    cwd: "/",
    stdinMode: "pipe-open",
    assertCurrent,
  };
}

/** The real path of a working folder; null when it is no folder below the workspace, or is reached through a symlink. */
async function validateWorkdir(
  place: Place,
  wanted: string,
  roots: readonly string[],
): Promise<string | null> {
  const root = roots.find((each) => wanted === each || wanted.startsWith(`${each}/`)) ?? place.workdir;
  const line = buildRemoteWorkdirValidationCommand({ workdir: wanted, root });
  const { code, stdout } = await runArgv(place, ["/bin/sh", "-c", line]);
  const path = stdout.toString("utf8").trim();
  return code === 0 && path !== "" ? path : null;
}
