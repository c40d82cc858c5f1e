#!/usr/bin/env node
// What an agent's client does, by a script: starts the MCP server of Codex's configuration, reads, asks to write, and waits.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";

const config = readFileSync(`${process.env.HOME}/.codex/config.toml`, "utf8");
const setting = (name) => JSON.parse(new RegExp(`^${name} = (.*)$`, "m").exec(config)?.[1] ?? "null");
const server = spawn(setting("command"), setting("args"), { stdio: ["pipe", "pipe", "inherit"] });
const waiting = new Map();
createInterface({ input: server.stdout }).on("line", (line) => {
  const message = JSON.parse(line);
  waiting.get(message.id)?.(message);
});

let last = 0;
const send = (message) => server.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
const ask = (method, params) =>
  new Promise((resolve) => {
    last += 1;
    waiting.set(last, resolve);
    send({ id: last, method, params });
  });
const call = async (name, args) => {
  const { result, error } = await ask("tools/call", { name, arguments: args });
  if (error !== undefined) throw new Error(error.message);
  return result.structuredContent ?? JSON.parse(result.content[0].text);
};
const say = (text) => process.stdout.write(`\r[agent] ${text}\n`);

const clientInfo = { name: "codex-mcp-client", version: "0" };
await ask("initialize", { protocolVersion: "2025-06-18", capabilities: {}, clientInfo });
send({ method: "notifications/initialized" });
await call("read_file", { path: "cart.js" });
say("read cart.js");
const asked = await call("write_file", {
  path: "notes.md",
  content: "total() adds up prices; it has no tax.\n",
});
say(`asked to write notes.md: ${asked.status}, ${asked.approval_id}`);
const answer = await call("check_approval", { approval_id: asked.approval_id, wait_seconds: 60 });
say(`was answered: ${answer.status}`);
server.stdin.end();
