import type { IncomingMessage } from "node:http";
import { toDoorwardError, type DoorwardError } from "@doorward/contracts";
import { answerMask, boundRequestHeaders, substituteHeaders, type AnswerMask } from "../../secrets/index.ts";
import type { BoundSecret, EgressConnection, EgressPermit, EgressTarget } from "../ports.ts";
import { endToEnd } from "./header-rules.ts";
import { refuseUnlisted } from "./path-rules.ts";
import { absoluteTarget, originTarget, refuseAmbiguous, type RequestTarget } from "./request-rules.ts";
import type { FrontParts, RequestScope } from "./scope.ts";

/** One request that was allowed: its permit, its place in the books, and its headers as they go out. */
export interface Exchange extends Disposable {
  readonly permit: EgressPermit;
  readonly target: RequestTarget;
  readonly method: string;
  readonly books: EgressConnection;
  /** End-to-end headers with real values in, without framing. */
  readonly headers: readonly string[];
  /** What takes values out of the answer; null for a host that no secret is bound to. */
  readonly mask: AnswerMask | null;
}

/** Checks a request, asks the gate about it and puts secrets in; throws what refuses it. `cut` ends it later. */
export async function openExchange(
  parts: FrontParts,
  scope: RequestScope,
  request: IncomingMessage,
  signal: AbortSignal,
  cut: (reason: DoorwardError) => void,
): Promise<Exchange> {
  const method = request.method ?? "";
  const target = readTarget(parts, scope, request);
  const permit = await parts.gate.decide(
    { machine: scope.machine, ...target.authority, via: scope.via },
    signal,
  );
  counted(parts, scope, permit.target, () => {
    refuseUnlisted(permit, method, target.path, request.rawHeaders);
  });
  const books = parts.gate.track(permit, cut);
  try {
    const filled = await withSecrets(parts, scope, permit, books, request);
    return {
      permit,
      target,
      method,
      books,
      ...filled,
      [Symbol.dispose]: () => {
        books[Symbol.dispose]();
      },
    };
  } catch (error) {
    books[Symbol.dispose]();
    throw error;
  }
}

function readTarget(parts: FrontParts, scope: RequestScope, request: IncomingMessage): RequestTarget {
  return counted(parts, scope, null, () => {
    refuseAmbiguous(request, parts.limits);
    if (scope.authority === null) return absoluteTarget(request);
    return originTarget(request, scope.authority, scope.scheme === "http" ? 80 : 443);
  });
}

/** What the proxy refuses by itself is in the books like what the gate refuses. */
function counted<T>(
  { gate }: FrontParts,
  { machine }: RequestScope,
  target: EgressTarget | null,
  check: () => T,
): T {
  try {
    return check();
  } catch (error) {
    gate.refused(machine, target, toDoorwardError(error));
    throw error;
  }
}

/** Values leave over TLS to the bound host only; in the clear the placeholder goes out as it is, and it is worthless. */
async function withSecrets(
  parts: FrontParts,
  scope: RequestScope,
  permit: EgressPermit,
  books: EgressConnection,
  request: IncomingMessage,
): Promise<Pick<Exchange, "headers" | "mask">> {
  const { machine, host, port } = permit.target;
  const bound = scope.scheme === "https" ? parts.secrets.boundTo(machine, host, port).map(readOnce) : [];
  if (bound.length === 0) return { headers: endToEnd(request.rawHeaders), mask: null };
  const { method = "", rawHeaders } = request;
  const whole = boundRequestHeaders({ host, method, rawHeaders });
  const { rawHeaders: headers, used } = await substituteHeaders(endToEnd(whole), bound);
  for (const name of used) books.usedSecret(name);
  return { headers, mask: await answerMask(bound) };
}

/** A secret that is replaced meanwhile has one value for a request and for what is masked in its answer. */
function readOnce(secret: BoundSecret): BoundSecret {
  let value: Promise<string> | undefined;
  return { ...secret, value: () => (value ??= secret.value()) };
}
