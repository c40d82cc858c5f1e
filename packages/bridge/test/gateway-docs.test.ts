import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { it } from "node:test";
import { ROUTES, type Route } from "@doorward/contracts";
import { DEFAULT_LIMITS } from "../src/gateway/index.ts";

const page = new URL("../../../docs/protocol/control-api.md", import.meta.url);
const marked = /<!-- routes -->\n([\s\S]*)<!-- \/routes -->/;

it("the page of the control API lists every route that is served (UPDATE=1 rewrites it)", async () => {
  const text = await readFile(page, "utf8");
  const wanted = routeTable();
  if (process.env["UPDATE"] === "1") {
    await writeFile(
      page,
      text.replace(marked, () => `<!-- routes -->\n${wanted}<!-- /routes -->`),
    );
    return;
  }
  assert.equal(squash(marked.exec(text)?.[1] ?? ""), squash(wanted));
});

it("the page of the control API states the limits that are in force", async () => {
  const text = squash(await readFile(page, "utf8"));
  const { sockets, operatorSockets, socketsPerGrant, connections, failedTokensPerMinute } = DEFAULT_LIMITS;
  const [all, own, each] = [sockets, operatorSockets, socketsPerGrant].map((count) =>
    count.toLocaleString("en"),
  );
  assert.ok(text.includes(`| ${String(all)}, ${String(own)}, ${String(each)} |`));
  assert.ok(text.includes(`| connections, each listener | ${connections.toLocaleString("en")} |`));
  assert.ok(text.includes(`| failed tokens per minute | ${String(failedTokensPerMinute)} |`));
  const { headersMs, requestMs, requestsPerSecond } = DEFAULT_LIMITS;
  assert.ok(text.includes(`| ${String(headersMs / 1000)} s, ${String(requestMs / 1000)} s |`));
  assert.ok(text.includes(`one grant | ${String(requestsPerSecond)}, `));
});

function routeTable(): string {
  const rows = Object.entries<Route>(ROUTES).map(
    ([id, { method, path, access, summary, answer }]) =>
      `| \`${method} ${path}\` | \`${id}\` | ${access} | ${summary}${answer === "ndjson" ? " (ndjson)" : ""} |`,
  );
  return ["| request | operation id | access | what it does |", "|---|---|---|---|", ...rows, ""].join("\n");
}

/** A table without the padding that a formatter adds. */
function squash(table: string): string {
  return table
    .trim()
    .replaceAll(/-+/g, "-")
    .replaceAll(/ +/g, " ")
    .replaceAll(/\| ?-(?: ?\| ?-)* ?\|/g, "|-|");
}
