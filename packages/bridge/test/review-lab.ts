import { spawn } from "node:child_process";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { ReviewView } from "@doorward/contracts";
import {
  collectChanges,
  createReviewClone,
  type ReviewClone,
  type RunInMachine,
} from "../src/machines/review/index.ts";
import type { PolicyFile } from "../src/policy/index.ts";
import { GIT_ENV, PolicyLab, hold } from "./policy-lab.ts";

/** Stands for the machine: runs what the machine would be asked to run, in the clone itself. */
export const inMachine: RunInMachine = async (argv, { output }) => {
  const [program = "", ...args] = argv;
  const child = spawn(program, args, { env: GIT_ENV, stdio: ["ignore", "pipe", "pipe"] });
  const exited = new Promise<number>((resolve) => child.once("close", (code) => resolve(code ?? -1)));
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  await pipeline(child.stdout, output);
  return { exitCode: await exited, stderr };
};

/** A machine that answers with these bytes, whatever it is asked. */
export function answering(bytes: Buffer, exitCode = 0): RunInMachine {
  return async (_argv, { output }) => {
    await pipeline([bytes], output);
    return { exitCode, stderr: "" };
  };
}

/** Clones a repo for review number `n`. */
export async function cloneOf(lab: PolicyLab, policy: PolicyFile, repo: string, n = 0): Promise<ReviewClone> {
  await using held = await hold(policy, repo);
  return await createReviewClone({ held, folder: join(lab.stateDir, "review", "m_test", String(n)) });
}

export async function review(clone: ReviewClone, runInMachine = inMachine): Promise<ReviewView> {
  return collectChanges({ ...clone, machinePath: clone.clone, runInMachine });
}
