import type { StreamFailed } from "../protocol.ts";

/** Why a stream could not be opened; told to the bridge as a `failed` frame. */
export class StreamFailure extends Error {
  readonly code: StreamFailed["code"];

  constructor(code: StreamFailed["code"], message: string) {
    super(message);
    this.name = "StreamFailure";
    this.code = code;
  }
}

/** The `failed` frame's message for anything thrown. */
export function failureOf(thrown: unknown): StreamFailed {
  if (thrown instanceof StreamFailure) return { code: thrown.code, message: thrown.message.slice(0, 4000) };
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return { code: "INTERNAL", message: `Unexpected fault in the guest: ${message}`.slice(0, 4000) };
}
