import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Lab } from "./lab.ts";

/** Gives a lab's evidence a small disk of its own; before its bridge starts. */
export function smallEvidenceDisk(lab: Lab): void {
  mkdirSync(lab.evidence, { recursive: true, mode: 0o700 });
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=24m,mode=700", "dw-evidence", lab.evidence]);
}

/** Fills that disk, and then the log with records until no space is left for them; answers the code of the first refusal. */
export async function fillEvidence(lab: Lab, machine: string): Promise<string> {
  execFileSync("sh", ["-c", `cat /dev/zero > ${join(lab.evidence, "filler")} 2>/dev/null || true`]);
  await using client = lab.client();
  const body = { machine, subject: "agent:test:1", operations: ["terminal.observe" as const], for: "1h" };
  for (let batch = 0; batch < 200; batch += 1) {
    const minting = Array.from({ length: 50 }, () => client.call("grants.create", { body }));
    const answers = await Promise.allSettled(minting);
    const failed = answers.find((answer) => answer.status === "rejected");
    if (failed !== undefined) return (failed.reason as { code: string }).code;
  }
  return "never full";
}
