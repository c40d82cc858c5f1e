import type { Begun, DoorRecord } from "@doorward/doors";

/** The far side of beginnings for tests that look at records alone: nothing is noted. */
export function begunUnnoted(record: (record: DoorRecord) => Promise<void>): Begun {
  return { record, approved: () => undefined, [Symbol.dispose]: () => undefined };
}
