import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { text } from "node:stream/consumers";
import * as z from "zod";
import { LibpodApi } from "../src/machines/podman/libpod-api.ts";

const Answer = z.object({ Id: z.string() });

let folder: string;
let server: Server;
let asked: string[];
let answer: (request: IncomingMessage, response: ServerResponse) => void;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "dw-libpod-"));
  asked = [];
  server = createServer((request, response) => {
    asked.push(`${request.method ?? ""} ${request.url ?? ""}`);
    answer(request, response);
  });
  server.listen(socket());
  await once(server, "listening");
});
afterEach(() => {
  server.close();
  server.closeAllConnections();
  rmSync(folder, { recursive: true, force: true });
});

const socket = (): string => join(folder, "podman.sock");
const api = (): LibpodApi => new LibpodApi(socket());
const says = (status: number, body: string) => (_: IncomingMessage, response: ServerResponse) => {
  response.writeHead(status).end(body);
};

describe("a call of Podman's API", () => {
  it("asks with path, query and body, and reads the answer", async () => {
    let sent = "";
    answer = (request, response) => {
      void text(request).then((body) => {
        sent = `${request.headers["content-type"] ?? ""} ${body}`;
        response.writeHead(201).end('{"Id":"c1"}');
      });
    };
    const call = {
      method: "POST",
      path: "/containers/create",
      query: { name: "a b&c" },
      body: { n: "ü" },
    } as const;
    assert.deepEqual(await api().json(Answer, call), { Id: "c1" });
    assert.deepEqual(asked, ["POST /v4.0.0/libpod/containers/create?name=a+b%26c"]);
    assert.equal(sent, 'application/json {"n":"ü"}');
  });

  it("that Podman refuses fails with its words and the status", async () => {
    answer = says(404, '{"cause":"no such container","message":"no container with name x","response":404}');
    await assert.rejects(api().send({ method: "GET", path: "/containers/x/json" }), {
      code: "PODMAN_FAILED",
      message: 'Cannot call Podman ("GET /containers/x/json"): no container with name x',
      details: { status: 404 },
    });
    await assert.rejects(api().stream({ method: "GET", path: "/events" }), { details: { status: 404 } });
  });

  it("that fails with other than JSON says that text", async () => {
    answer = says(500, "broken pipe\n");
    await assert.rejects(api().send({ method: "GET", path: "/info" }), {
      code: "PODMAN_FAILED",
      message: 'Cannot call Podman ("GET /info"): broken pipe',
    });
  });

  it("answered with an accepted status is no failure", async () => {
    answer = says(409, "{}");
    await api().send({ method: "DELETE", path: "/containers/x", accept: [409] });
    await assert.rejects(api().send({ method: "DELETE", path: "/containers/x" }), { code: "PODMAN_FAILED" });
  });

  it("whose answer has another shape fails", async () => {
    for (const body of ["null", "[]", "", "not json", '{"Id":7}']) {
      answer = says(200, body);
      const call = { method: "GET", path: "/containers/x/json" } as const;
      await assert.rejects(api().json(Answer, call), {
        code: "PODMAN_FAILED",
        message: /^Cannot read Podman's/,
      });
    }
  });

  it("is repeated when the service dies under it, unless it would be done twice", async () => {
    let lives = 0;
    answer = (request, response) => {
      lives += 1;
      if (lives === 1) request.socket.destroy();
      else if (lives === 2)
        response.writeHead(200, { "content-length": 99 }).write("{", () => response.destroy());
      else response.end('{"Id":"c1"}');
    };
    assert.deepEqual(await api().json(Answer, { method: "GET", path: "/x" }), { Id: "c1" });
    assert.equal(lives, 3);
    lives = 0;
    await assert.rejects(api().send({ method: "POST", path: "/x" }), { code: "PODMAN_UNREACHABLE" });
    assert.equal(lives, 1);
  });

  it("that nobody serves is unreachable, after a few attempts", async () => {
    server.close();
    await once(server, "close");
    await assert.rejects(api().send({ method: "GET", path: "/x" }), { code: "PODMAN_UNREACHABLE" });
  });

  it("ends when it is told to, before an answer and in the middle of one", async () => {
    answer = () => undefined;
    const before = new AbortController();
    const call = api().send({ method: "GET", path: "/x", signal: before.signal });
    setImmediate(() => before.abort());
    await assert.rejects(call, { code: "ABORTED" });

    const within = new AbortController();
    answer = (_, response) => {
      response.writeHead(200).write("{", () => setImmediate(() => within.abort()));
    };
    await assert.rejects(api().send({ method: "GET", path: "/x", signal: within.signal }), {
      code: "ABORTED",
    });
  });

  it("that streams hands over what comes until it is told to end", async () => {
    const stop = new AbortController();
    answer = (_, response) => void response.writeHead(200).write("one\n");
    const stream = await api().stream({ method: "GET", path: "/events", signal: stop.signal });
    const [first] = (await once(stream, "data")) as [Buffer];
    assert.equal(first.toString(), "one\n");
    const closed = once(stream, "close").catch(() => undefined);
    stop.abort();
    await closed;
    assert.equal(stream.destroyed, true);
  });
});
