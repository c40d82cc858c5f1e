import { DoorwardError, PipeQuery } from "@doorward/contracts";

const ONCE = new Set(["cwd", "framing"]);

/** Reads what the query of a pipe's URL asks for, each parameter strictly; throws INPUT_INVALID. */
export function parsePipeQuery(query: string): PipeQuery {
  const given = { arg: new Array<string>(), once: new Map<string, string>() };
  for (const pair of query === "" ? [] : query.split("&")) {
    const [name, value] = pairOf(pair);
    if (name === "arg") given.arg.push(value);
    else if (!ONCE.has(name)) throw wrong(name.slice(0, 60), `there are "arg", "cwd" and "framing"`);
    else if (given.once.has(name)) throw wrong(name, "it is given twice");
    else given.once.set(name, value);
  }
  const { arg, once } = given;
  const parsed = PipeQuery.safeParse({ framing: "lines", arg, ...Object.fromEntries(once) });
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw wrong(issue?.path.map(String).join(".") ?? "", issue?.message ?? "unknown shape");
}

function pairOf(pair: string): readonly [string, string] {
  const at = pair.indexOf("=");
  if (at < 0) throw wrong(pair.slice(0, 60), `it has no "="`);
  return [decoded(pair.slice(0, at)), decoded(pair.slice(at + 1))];
}

/** Forms write a space as "+"; what is no UTF-8 is refused rather than replaced. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    throw wrong(text.slice(0, 60), "it is not percent-encoded UTF-8");
  }
}

function wrong(name: string, why: string): DoorwardError {
  return new DoorwardError({
    code: "INPUT_INVALID",
    message: `Cannot open pipe: parameter "${name}" is wrong: ${why}`,
    details: { path: name },
  });
}
