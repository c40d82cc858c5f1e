import type { BoundSecret } from "../egress/ports.ts";
import { LONG_VALUE } from "./echo-forms.ts";

/** The one header whose `Basic` credentials may hold a value. */
export const BASIC_HEADER = "authorization";

/** Headers of a request with the values put in, as Node writes them (name, value, name, value), and the secrets used. */
export interface Substituted {
  readonly rawHeaders: string[];
  readonly used: readonly string[];
}

/** Schemes whose whole credentials are one token. */
const TOKEN_SCHEME = /^(bearer|token) (\S+)$/i;
const BASIC = /^basic ([A-Za-z0-9+/]+={0,2})$/i;

/**
 * Puts the values of secrets in place of their placeholders: in the bound header alone, when it stands exactly once and
 * is nothing but the placeholder in a form that clients send (whole, `Bearer` or `token`, a part of `Basic`). Whatever
 * has another form is left as it is: the placeholder is worthless. The caller has made sure that the request goes to
 * the bound host and port, over TLS that was verified.
 */
export async function substituteHeaders(
  rawHeaders: readonly string[],
  bound: readonly BoundSecret[],
): Promise<Substituted> {
  const result = [...rawHeaders];
  const used: string[] = [];
  for (const secret of bound) {
    const at = onlyOne(rawHeaders, secret.header);
    const given = at === undefined ? undefined : rawHeaders[at + 1];
    if (at === undefined || given === undefined) continue;
    const filled = await filledIn(given, secret);
    if (filled === undefined) continue;
    result[at + 1] = filled;
    used.push(secret.name);
  }
  return { rawHeaders: result, used };
}

/** Where a header's name stands, when it stands once. */
function onlyOne(rawHeaders: readonly string[], header: string): number | undefined {
  let found: number | undefined;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.toLowerCase() !== header) continue;
    if (found !== undefined) return undefined;
    found = at;
  }
  return found;
}

async function filledIn(given: string, secret: BoundSecret): Promise<string | undefined> {
  const { placeholder } = secret;
  if (given === placeholder) return await secret.value();
  const token = TOKEN_SCHEME.exec(given);
  if (token !== null) {
    return token[2] === placeholder ? `${token[1] ?? ""} ${await secret.value()}` : undefined;
  }
  const basic = BASIC.exec(given)?.[1];
  if (basic === undefined || secret.header !== BASIC_HEADER) return undefined;
  return await basicFilledIn(basic, secret);
}

/** `user:placeholder` as git and npm send it, and `placeholder:` as some services want it. */
async function basicFilledIn(encoded: string, secret: BoundSecret): Promise<string | undefined> {
  const credentials = Buffer.from(encoded, "base64");
  if (credentials.toString("base64").replace(/=+$/, "") !== encoded.replace(/=+$/, "")) return undefined;
  const text = credentials.toString("latin1");
  const colon = text.indexOf(":");
  if (colon < 0) return undefined;
  const [user, password] = [text.slice(0, colon), text.slice(colon + 1)];
  const [asUser, asPassword] = [user, password].map((part) => part === secret.placeholder);
  if (asUser === asPassword || (asUser === true && password.includes(secret.placeholder))) return undefined;
  const value = await secret.value();
  if (value.length > LONG_VALUE) return undefined;
  if (asPassword === true) return basicOf(user, value);
  // A colon would move a part of the value into the password.
  return value.includes(":") ? undefined : basicOf(value, password);
}

function basicOf(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`, "latin1").toString("base64")}`;
}
