import { DoorwardError } from "@doorward/contracts";

/** The record could not be made durable. */
export function unwritable(cause: DoorwardError): DoorwardError {
  return new DoorwardError({
    code: "EVIDENCE_UNWRITABLE",
    message: `Cannot append evidence: the record could not be made durable: ${cause.message}`,
    hint: "Make space on the disk of the state folder, or make it writable",
    cause,
  });
}

/** There is no such record. */
export function notFound(which: number | string): DoorwardError {
  return new DoorwardError({
    code: "EVIDENCE_NOT_FOUND",
    message: `Cannot read evidence: there is no record ${JSON.stringify(which)}`,
    hint: "doorward evidence ls",
  });
}

/** A key rotation came without its second key. */
export function oneSigner(): DoorwardError {
  return new DoorwardError({
    code: "INPUT_INVALID",
    message: `Cannot append "key-rotation" record: both keys must sign it`,
  });
}

/** The log is closed. */
export function stopping(): DoorwardError {
  return new DoorwardError({ code: "BRIDGE_STOPPING", message: "Cannot append evidence: the log is closed" });
}
