import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { ensureMachineCa } from "../../packages/bridge/src/egress/tls/machine-ca.ts";

/** A server on loopback that sends as many bytes as it is asked for. */
export interface FarSide extends AsyncDisposable {
  readonly port: number;
}

const PIECE = Buffer.alloc(65_536, 0x61);

/** Starts a TLS server that answers `/BYTES`, or `/BYTES/RATE` at no more than so many bytes a second; its authority is `ca.pem` in the folder. */
export async function openFarSide(folder: string): Promise<FarSide> {
  const ca = ensureMachineCa(folder);
  const server = createServer({ SNICallback: (name, done) => done(null, ca.contextFor(name)) }, send);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]() {
      server.close().closeAllConnections();
      return Promise.resolve();
    },
  };
}

function send({ url = "" }: IncomingMessage, response: ServerResponse): void {
  const [size = 0, rate = Infinity] = url.slice(1).split("/").map(Number);
  response.setHeader("content-length", size);
  const began = performance.now();
  let left = size;
  const tooFast = (): boolean => size - left > ((performance.now() - began) / 1000) * rate;
  const more = (): void => {
    while (left > 0) {
      if (tooFast()) return void setTimeout(more, 1);
      const part = PIECE.subarray(0, Math.min(left, PIECE.length));
      left -= part.length;
      if (!response.write(part)) return void response.once("drain", more);
    }
    response.end();
  };
  more();
}

/** A name besides localhost for 127.0.0.1 in /etc/hosts, which rules can name. */
export function loopbackName(): string {
  const name = readFileSync("/etc/hosts", "utf8")
    .split("\n")
    .flatMap((line) => /^127\.0\.0\.1\s+(.*)$/.exec(line.replace(/#.*/, "").trim())?.[1]?.split(/\s+/) ?? [])
    .find((each) => /^[a-z0-9][a-z0-9.-]*$/.test(each) && !each.includes("localhost"));
  if (name === undefined) throw new Error("needs a name besides localhost for 127.0.0.1 in /etc/hosts");
  return name;
}
