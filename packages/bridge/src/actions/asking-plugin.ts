import type { ActionAsker } from "./flow-ports.ts";

const PREFIX = "plugin:";

/**
 * The plugin that asks, for the subject of a grant; null for everybody else. Nothing in a request names it: its subject is
 * the grant's. Version and digest stay null, since nobody verified a bundle of it.
 */
export function askingPlugin(subject: string): ActionAsker["plugin"] {
  return subject.startsWith(PREFIX)
    ? { id: subject.slice(PREFIX.length), version: null, digest: null }
    : null;
}
