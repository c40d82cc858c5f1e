/** One try to get past the proxy: what is sent, and how far it may get before it is refused. */
export interface Attempt {
  readonly name: string;
  /** What goes to the proxy, in turn, with a pause between the parts. */
  readonly send: readonly (string | Buffer)[];
  /** Sent into a tunnel to good.test that stands: blind, or opened TLS to opened.test. */
  readonly inside?: "blind" | "opened" | "raw";
  /** The connection is left open after sending: a time-out has to end it. */
  readonly held?: boolean;
}

/** A marker that no far side may ever see. */
export const SMUGGLED = "SMUGGLED";

/** The header that names the good far side. */
export const HOST = "Host: good.test\r\n";
/** Ends a head. */
export const END = "\r\n\r\n";
