import { DoorwardError } from "@doorward/contracts";
import { didYouMean } from "./did-you-mean.ts";

/** The error of a name or id that no machine has, for somebody who may know the names of all machines. */
export function unknownMachine(nameOrId: string, names: Iterable<string>): DoorwardError {
  return new DoorwardError({
    code: "MACHINE_NOT_FOUND",
    message: `Cannot reach machine "${nameOrId}": no machine has this name or id${didYouMean(nameOrId, names)}`,
    hint: "doorward ls",
  });
}
