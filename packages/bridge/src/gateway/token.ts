import { DoorwardError } from "@doorward/contracts";

const bearer = /^Bearer +([A-Za-z0-9._~+/=-]{1,200})$/i;
const protocolPrefix = "bearer.";
const protocolToken = /^[A-Za-z0-9._~-]{1,200}$/;

/** The token of a request, from its Authorization header or from a WebSocket subprotocol `bearer.<token>`; never from its URL. */
export function tokenOf(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  protocols: readonly string[] = [],
): string | undefined {
  const offered = protocols.filter((protocol) => protocol.startsWith(protocolPrefix));
  const authorization = headers["authorization"];
  const given = [
    ...offered.map(fromProtocol),
    ...(authorization === undefined ? [] : [fromHeader(authorization)]),
  ];
  if (given.length > 1) throw refused("the request carries more than one token");
  return given[0];
}

/** Whether a URL contains something that looks like a token, plainly or percent-encoded. */
export function urlHasToken(url: string): boolean {
  return /dwg_/i.test(url) || /dwg_/i.test(decodedLoosely(url));
}

function fromHeader(value: string | string[]): string {
  const token = typeof value === "string" ? bearer.exec(value)?.[1] : undefined;
  if (token === undefined) throw refused('the Authorization header is not "Bearer" and a token');
  return token;
}

function fromProtocol(protocol: string): string {
  const token = protocol.slice(protocolPrefix.length);
  if (!protocolToken.test(token)) throw refused("the subprotocol does not hold a token");
  return token;
}

function decodedLoosely(url: string): string {
  return url.replace(/%([0-9a-f]{2})/gi, (_match, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

function refused(why: string): DoorwardError {
  return new DoorwardError({ code: "TOKEN_INVALID", message: `Cannot tell who calls: ${why}` });
}
