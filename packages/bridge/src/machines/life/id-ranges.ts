import { DoorwardError } from "@doorward/contracts";

/** Ids in one machine's range. */
export const RANGE_SIZE = 65_536;
const FIRST = 1_879_048_192; // 0x70000000: above what distributions give to users and subuid ranges
const COUNT = 4096;

/** First host id of a range. */
export function rangeStart(index: number): number {
  return FIRST + index * RANGE_SIZE;
}

/** Lowest range index that no machine holds. */
export function freeRange(taken: Iterable<number>): number {
  const held = new Set(taken);
  for (let index = 0; index < COUNT; index += 1) {
    if (!held.has(index)) return index;
  }
  throw new DoorwardError({
    code: "MACHINE_LIMIT",
    message: `Cannot make a machine: all ${COUNT} id ranges are in use`,
    hint: "doorward rm NAME",
  });
}
