import * as z from "zod";

/** Name of a secret, which is also the name of the variable that holds its placeholder. */
export const SecretName = z
  .string()
  .regex(/^[A-Z][A-Z0-9_]{0,63}$/)
  .describe("Name of a secret: capital letters, digits and underscores");
export type SecretName = z.infer<typeof SecretName>;

const Variable = z
  .string()
  .regex(/^[A-Z][A-Z0-9_]{0,63}$/)
  .describe("Variable of the machine's environment; the secret's name when absent");

/** A secret that the machine has as a placeholder; the value is put into one header of requests to one host. */
export const HeaderSecret = z.strictObject({
  name: SecretName,
  as: z.literal("header").optional().describe("The value stays on the host"),
  host: z
    .string()
    .max(253)
    .regex(/^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/)
    .describe("Exactly this host; no wildcards"),
  header: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,63}$/)
    .describe("Header that the value may be put into, in lower case"),
  port: z.int().min(1).max(65_535).optional().describe("Port; 443 when absent"),
  env: Variable.optional(),
  prefix: z
    .string()
    .max(32)
    .regex(/^[A-Za-z0-9_-]*$/)
    .optional()
    .describe("Start of the placeholder, for clients that check the form of a key, e.g. sk-ant-api03-"),
});
export type HeaderSecret = z.infer<typeof HeaderSecret>;

/** A secret that is handed into the machine as a file: whatever runs there can read it. */
export const FileSecret = z.strictObject({
  name: SecretName,
  as: z.literal("file").describe("The value is in the machine, in /run/secrets/NAME"),
});
export type FileSecret = z.infer<typeof FileSecret>;

/** A secret that machines of a profile may use, and how. */
export const MachineSecret = z
  .union([HeaderSecret, FileSecret])
  .describe("A secret, and where its value may go");
export type MachineSecret = z.infer<typeof MachineSecret>;

/** The value of a secret: visible ASCII and inner spaces, so that it can stand in a header. */
export const SecretValue = z
  .string()
  .min(8)
  .max(4096)
  .regex(/^[\u0021-\u007e](?:[\u0020-\u007e]*[\u0021-\u007e])?$/)
  .describe("Value; visible ASCII characters and inner spaces");

/** Headers that frame a message, route it or negotiate its form: no value may be put into one. */
const FORBIDDEN_HEADERS: ReadonlySet<string> = new Set([
  "accept-encoding",
  "connection",
  "content-encoding",
  "content-length",
  "expect",
  "forwarded",
  "host",
  "keep-alive",
  "location",
  "max-forwards",
  "origin",
  "proxy-authorization",
  "proxy-connection",
  "range",
  "referer",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "via",
]);

/** Variables that decide how programs of a machine run, or that Doorward sets. */
const FORBIDDEN_VARIABLES =
  /^(?:HOME|USER|LOGNAME|PATH|LANG|SHELL|TERM|NODE_OPTIONS|LD_.*|DOORWARD_.*|(?:.*_)?PROXY|.*_CA_.*|SSL_CERT_.*)$/;

/** Why a list of secrets can't be used, in words; undefined when it can. */
export function secretsProblem(secrets: readonly MachineSecret[]): string | undefined {
  const variables = new Map<string, string>();
  const places = new Set<string>();
  for (const secret of secrets) {
    const problem = bindingProblem(secret, variables, places);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function bindingProblem(
  secret: MachineSecret,
  variables: Map<string, string>,
  places: Set<string>,
): string | undefined {
  const variable = secretVariable(secret);
  if (FORBIDDEN_VARIABLES.test(variable)) return `variable "${variable}" never holds a secret`;
  const holds = isHeaderSecret(secret) ? `${secret.name} ${secret.prefix ?? ""}` : `${secret.name} file`;
  const other = variables.get(variable);
  if (other !== undefined && other !== holds) return `variable "${variable}" would hold two secrets`;
  variables.set(variable, holds);
  if (!isHeaderSecret(secret)) return placeProblem(`file ${secret.name}`, places, secret.name);
  const { name, host, header, port = 443 } = secret;
  if (FORBIDDEN_HEADERS.has(header)) return `header "${header}" of secret "${name}" never carries secrets`;
  return placeProblem(`${host}:${String(port)} ${header} ${name}`, places, name);
}

function placeProblem(place: string, places: Set<string>, name: string): string | undefined {
  if (places.has(place)) return `secret "${name}" is bound to the same place twice`;
  places.add(place);
  return undefined;
}

/** Whether a secret's value stays on the host. */
export function isHeaderSecret(secret: MachineSecret): secret is HeaderSecret {
  return secret.as !== "file";
}

/** Variable of the machine's environment that tells of a secret: its placeholder, or the path of its file. */
export function secretVariable(secret: MachineSecret): string {
  return isHeaderSecret(secret) ? (secret.env ?? secret.name) : `${secret.name}_FILE`;
}
