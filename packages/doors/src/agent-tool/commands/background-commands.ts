import { DoorwardError } from "@doorward/contracts";

/** How a command of a session stands. */
export interface CommandView {
  readonly id: string;
  readonly command: string;
  readonly state: "running" | "exited" | "stopped";
  readonly exitCode: number | null;
}

/** The commands that one session started and that run beside its calls; all end when it is disposed. */
export class BackgroundCommands implements AsyncDisposable {
  /** How they stand, oldest first. */
  list(): readonly CommandView[] {
    throw new DoorwardError({ code: "INTERNAL", message: "Cannot list commands" });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}
