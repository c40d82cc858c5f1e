import console from "node:console";
import process from "node:process";
import { setTimeout } from "node:timers";

/** What every client is put through; prints what it saw as one JSON document. */
export async function drive(client, transport, call, patienceMs = 10_000) {
  const seen = {};
  try {
    await client.connect(transport);
    seen.server = client.getServerVersion?.();
    seen.instructions = client.getInstructions?.();
    const { tools } = await client.listTools();
    seen.tools = tools.map(({ name, annotations }) => ({ name, readOnly: annotations?.readOnlyHint }));
    seen.answer = await call({ name: "read_file", arguments: { path: "hello" } });
    seen.failed = await call({ name: "write_file", arguments: { path: "x" } });
    seen.unknown = await call({ name: "no_such_tool", arguments: {} }).then(
      () => "answered",
      ({ code }) => code,
    );
    seen.cancelled = await cancelled(call, seen, patienceMs);
    seen.templates = (await client.listResourceTemplates()).resourceTemplates.length;
  } catch (error) {
    seen.error = { name: error.name, code: error.code, message: String(error.message) };
  }
  console.log(JSON.stringify(seen));
  await client.close().catch(() => undefined);
  process.exit(0);
}

/** Cancels a call that never ends by itself, once it told that it began. */
async function cancelled(call, seen, patienceMs) {
  const controller = new globalThis.AbortController();
  const onprogress = ({ message }) => {
    seen.progress = message;
    controller.abort("enough");
  };
  const options = { signal: controller.signal, onprogress, timeout: 600_000 };
  // Not every tool tells something before it is done.
  setTimeout(() => controller.abort("enough"), patienceMs).unref();
  return await call({ name: "run_command", arguments: { command: "exec sleep 4321" } }, options).then(
    () => "answered",
    () => controller.signal.aborted,
  );
}
