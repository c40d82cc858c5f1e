/**
 * A plugin as its runner will start it: a process of its own that imports the published SDK. The first line of its
 * standard input is where the bridge is and its grant's token; each line after it is a job, answered by one line.
 */
import { request as httpRequest } from "node:http";
import { createInterface } from "node:readline";
import { connect, createBackendReqOver } from "@doorward/client";
import * as sdk from "@doorward/plugin-sdk";
import type { ActInput, ActName, HttpAnswer, PluginJob } from "./plugin-process.ts";

const ACTS = {
  clipboardWrite: ({ text, dryRun }: ActInput) =>
    sdk.createClipboardWriteActionRequest({ action: "system.clipboard.write", payload: { text, dryRun } }),
  clipboardRead: ({ dryRun }: ActInput) =>
    sdk.createClipboardReadActionRequest({ action: "system.clipboard.read", payload: { dryRun } }),
  hosts: ({ text, dryRun }: ActInput) =>
    sdk.createHostsWriteActionRequest({
      action: "system.hosts.write",
      payload: { tag: "tests", records: [{ address: "127.0.0.9", hostname: `${text}.test` }], dryRun },
    }),
  files: ({ text, path, dryRun }: ActInput) =>
    sdk.createFilesystemMutateActionRequest({
      action: "system.fs.mutate",
      payload: { scope: "notes", operations: [{ type: "writeFile", path, content: text }], dryRun },
    }),
  process: ({ text, program, dryRun }: ActInput) =>
    sdk.createProcessExecActionRequest({
      action: "system.process.exec",
      payload: { scope: "tool", command: program, args: ["touch", text], dryRun },
    }),
  workflow: ({ text, program, dryRun }: ActInput) =>
    sdk.createWorkflowRunActionRequest({
      action: "system.workflow.run",
      payload: {
        ...{ scope: "tool", kind: "process-sequence", title: "Two files", dryRun },
        steps: ["a", "b"].map((id) => {
          return { id, title: `Step ${id}`, command: program, args: ["touch", `${text}-${id}`] };
        }),
      },
    }),
} as const satisfies Record<ActName, unknown>;

async function main(): Promise<void> {
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const first = await lines.next();
  const { url, token } = JSON.parse(String(first.value)) as { url: string; token: string };
  const client = connect({ url, token });
  const createBackendReq = createBackendReqOver(client);
  Reflect.set(globalThis, "window", { createBackendReq });
  for (let next = await lines.next(); next.done !== true; next = await lines.next()) {
    const answer = await done(JSON.parse(next.value) as PluginJob, url, token);
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  await client[Symbol.asyncDispose]();

  async function done(job: PluginJob, place: string, own: string): Promise<unknown> {
    if (job.kind === "act")
      return await sdk.requestPrivilegedAction(ACTS[job.name](job.given), {
        correlationId: job.correlationId,
      });
    if (job.kind === "send") return await createBackendReq("requestPrivilegedAction", job.body);
    return await http(job, place, own).catch((error: unknown) => ({ status: 0, text: String(error) }));
  }
}

function http(job: Extract<PluginJob, { kind: "http" }>, url: string, own: string): Promise<HttpAnswer> {
  const { method, path, body, headers = {}, socketPath, token = own } = job;
  const { hostname, port } = new URL(url);
  const place = socketPath === undefined ? { hostname, port } : { socketPath };
  const bearer = token === null ? {} : { authorization: `Bearer ${token}` };
  const text = body === undefined ? "" : JSON.stringify(body);
  const json = { "content-type": "application/json", "content-length": String(Buffer.byteLength(text)) };
  return new Promise((resolve, reject) => {
    const sent = httpRequest({
      ...place,
      ...{ method, path, agent: false, timeout: 120_000 },
      headers: { accept: "application/json", ...(text === "" ? {} : json), ...bearer, ...headers },
    });
    sent.once("timeout", () => sent.destroy(new Error("no answer")));
    sent.once("error", reject);
    sent.once("response", (response) => {
      let answer = "";
      response.setEncoding("utf8").on("data", (part: string) => (answer += part));
      response.once("end", () => resolve({ status: response.statusCode ?? 0, text: answer }));
    });
    sent.end(text);
  });
}

void main();
