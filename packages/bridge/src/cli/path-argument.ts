import { resolve } from "node:path";
import type { Cli } from "./cli.ts";
import { escapeLine } from "@doorward/client/operator";
import { usage } from "./parse-input.ts";

/** A path as given on the command line, made absolute but otherwise left as written: judging it is the policy's. */
export function pathArgument(cli: Cli, given: unknown): string {
  const path = String(given);
  if (path !== "" && path.length <= 4096 && !/[\u0000-\u001f\u007f]/.test(path))
    return resolve(cli.cwd, path);
  throw usage(
    `Cannot use path "${escapeLine(path.slice(0, 200))}": it is empty, too long, or has control characters`,
    "path",
  );
}
