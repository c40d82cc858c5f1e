import { DoorwardError } from "@doorward/contracts";

const scheme = "doorward:";

/** URI of a file in a machine: `doorward://machine/absolute/path`. */
export function resourceUriOf(machine: string, path: string): string {
  return `${scheme}//${machine}${path.split("/").map(encodeURIComponent).join("/")}`;
}

/** Absolute path in the machine that a URI names; throws INPUT_INVALID where it names another machine, or no file. */
export function pathOfResource(uri: string, machine: string): string {
  const [, host, path] = /^doorward:\/\/([^/?#]*)(\/[^?#]*)$/.exec(uri) ?? [];
  if (host !== machine || path === undefined) throw notOurs(uri, machine);
  try {
    const decoded = path.split("/").map(decodeURIComponent);
    if (decoded.some((part) => part.includes("/") || part === "." || part === ".."))
      throw notOurs(uri, machine);
    return decoded.join("/");
  } catch (cause) {
    throw cause instanceof DoorwardError ? cause : notOurs(uri, machine);
  }
}

function notOurs(uri: string, machine: string): DoorwardError {
  return new DoorwardError({
    code: "INPUT_INVALID",
    message: `Cannot read resource "${uri.slice(0, 200)}": resources here are doorward://${machine}/ and an absolute path`,
  });
}
