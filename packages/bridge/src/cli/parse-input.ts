import { DoorwardError, GrantId, MachineId, MachineName } from "@doorward/contracts";
import * as z from "zod";
import { escapeLine } from "@doorward/client/operator";

/** Parses the options of a command line; the error names the option and quotes what was given. */
export function parseOptions<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape>,
  options: unknown,
): z.infer<z.ZodObject<Shape>> {
  const parsed = schema.safeParse(options);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const name = String(issue?.path[0] ?? "option");
  const option = `--${kebab(name)}`;
  const given = quoted(valueAt(options, issue?.path ?? []));
  throw usage(`Cannot use option ${option}${given}: ${why(issue, schema.shape[name])}`, option);
}

/** Parses one argument; the error names it and quotes what was given. */
export function parseArgument<Schema extends z.ZodType>(
  name: string,
  schema: Schema,
  value: unknown,
): z.infer<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw usage(`Cannot use ${name}${quoted(value)}: ${why(parsed.error.issues[0], schema)}`, name);
}

/** A machine's name or id as given on the command line. */
export function parseMachine(value: string): string {
  if (MachineId.safeParse(value).success || MachineName.safeParse(value).success) return value;
  throw usage(
    `Cannot use machine${quoted(value)}: a name has lower-case letters, digits and inner hyphens, at most 40 characters`,
    "machine",
    "doorward ls",
  );
}

/** A grant's id as given on the command line. */
export function parseGrant(value: string): string {
  if (GrantId.safeParse(value).success) return value;
  throw usage(
    `Cannot use grant${quoted(value)}: an id is g_ and lower-case letters and digits`,
    "grant",
    "doorward grant ls",
  );
}

/** The error for a wrong command line. */
export function usage(message: string, field: string, hint?: string): DoorwardError {
  return new DoorwardError({ code: "USAGE", message, hint, details: { field } });
}

type Issue = z.core.$ZodIssue | undefined;

/** What the parser says is not for people; the contract's description of the field, the words and the limits are. */
function why(issue: Issue, schema: unknown): string {
  if (issue === undefined) return "it has no valid value";
  if (issue.code === "invalid_value") return `it must be one of ${issue.values.map(String).join(", ")}`;
  if (issue.code === "too_small" && issue.origin === "number")
    return `it must be ${String(issue.minimum)} or more`;
  if (issue.code === "too_big" && issue.origin === "number")
    return `it must be ${String(issue.maximum)} or less`;
  const described = issue.code === "invalid_format" ? descriptionOf(schema) : undefined;
  if (described === undefined || !issue.message.startsWith("Invalid")) return issue.message;
  return `expected ${described.charAt(0).toLowerCase()}${described.slice(1)}`;
}

function descriptionOf(schema: unknown): string | undefined {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault)
    return descriptionOf(schema.unwrap());
  if (schema instanceof z.ZodArray) return descriptionOf(schema.element);
  return schema instanceof z.ZodType ? schema.description : undefined;
}

function valueAt(options: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined),
    options,
  );
}

function quoted(value: unknown): string {
  return typeof value === "string" ? ` "${escapeLine(value.slice(0, 200))}"` : "";
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
