import type { ActionFailure } from "./ports.ts";

/** A privileged action that was refused or failed, with the code of its contract. */
export class ActionError extends Error {
  readonly failure: ActionFailure;

  constructor(failure: ActionFailure, options?: ErrorOptions) {
    super(failure.message, options);
    this.name = "ActionError";
    this.failure = failure;
  }
}
