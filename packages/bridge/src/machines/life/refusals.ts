import { DenialError, DoorwardError, toDoorwardError } from "@doorward/contracts";
import { shownPath } from "../../policy/index.ts";
import type { LifeContext } from "./ports.ts";

const DEFAULT_MACHINES = 50;

/** MACHINE_LIMIT when as many machines run, or are being launched, as the policy lets. */
export function refuseNumber({ policy, records }: Pick<LifeContext, "policy" | "records">): void {
  const most = policy.policy.limits?.machines ?? DEFAULT_MACHINES;
  const running = records.list().filter(({ state }) => state === "running" || state === "launching").length;
  if (running < most) return;
  throw new DenialError({
    code: "MACHINE_LIMIT",
    rule: "policy.limits.machines",
    message: `Cannot launch another machine: ${running} of ${most} run`,
    hint: "doorward stop NAME, or raise limits.machines in policy.yaml",
  });
}

/** A new machine can't have the name of another one. */
export function nameTaken(name: string): DoorwardError {
  return new DoorwardError({
    code: "MACHINE_EXISTS",
    message: `Cannot launch "${name}": a machine of this name has other repos or another profile`,
    hint: `doorward rm ${name}, or another --name`,
  });
}

/** A machine whose removal began is not started again. */
export function halfRemoved(name: string): DoorwardError {
  return new DoorwardError({
    code: "MACHINE_NOT_FOUND",
    message: `Cannot start "${name}": it was removed, but for what could not be deleted`,
    hint: `doorward rm --force ${name}`,
  });
}

/** Something of a removed machine could not be deleted; a cause that is no error of the file system is itself the answer. */
export function undeletable(name: string, cause: unknown): DoorwardError {
  if (!(cause instanceof Error) || !("path" in cause) || !("code" in cause)) return toDoorwardError(cause);
  const place = shownPath(String(cause.path));
  const message = `Cannot delete all of "${name}": ${String(cause.code)} at "${place}"`;
  return new DoorwardError({ code: "STATE_UNWRITABLE", message, hint: `doorward rm --force ${name}`, cause });
}
