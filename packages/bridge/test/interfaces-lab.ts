import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DEFAULT_AGENT_TOOL_DOOR, DEFAULT_PROFILE, DEFAULT_TERMINAL_DOOR } from "@doorward/contracts";
import type { PolicyFile } from "../src/policy/index.ts";
import type { PolicyLab } from "./policy-lab.ts";

/** A policy file whose roots are a lab's sources. */
export const ROOTS = "version: 1\nroots:\n  - { path: ~/src, access: rw }\n";

/** Why a test of this host's documents can't run, or `false`. */
export const linuxOnly = process.platform === "linux" ? false : "the documents are for Linux";

/** Documents of an operator, by their files' names. */
export type Documents = Readonly<Record<string, unknown>>;

/** Writes documents and the policy file, and loads them. */
export async function load(lab: PolicyLab, documents: Documents, policy = ROOTS): Promise<PolicyFile> {
  for (const [name, document] of Object.entries(documents)) writeDocument(lab.configDir, name, document);
  return lab.policy(policy);
}

/** An interface profile of the terminal door of a profile, as an operator writes it for this host. */
export function interfaceDocument(over: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    id: "urn:srcos:secure-host-interface:test",
    type: "SecureHostInterfaceProfile",
    specVersion: "0.1.0",
    name: "Terminal of tests",
    hostAdapter: "linux",
    interfaceKind: "terminal",
    agentMachineProfileRef: "urn:srcos:agent-machine-profile:default",
    doorRef: "urn:srcos:terminal-door:default",
    transportMode: "loopback-websocket",
    allowedOperations: ["terminal.attach", "terminal.observe", "terminal.input", "terminal.exec"],
    denialBehavior: { defaultDecision: "deny", onExpiry: "close", recordDenials: true },
    evidenceRequirements: { sessionOpen: "durable-before-open", sessionClose: true, commands: true },
    ...over,
  };
}

/** A terminal door of a profile. */
export function terminalDocument(over: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    id: "urn:srcos:terminal-door:test",
    type: "TerminalDoor",
    specVersion: "0.1.0",
    name: "Terminal of tests",
    agentMachineProfileRef: "urn:srcos:agent-machine-profile:default",
    ...DEFAULT_TERMINAL_DOOR,
    ...over,
  };
}

/** An agent-tool door of a profile. */
export function agentToolDocument(over: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    id: "urn:srcos:agent-tool-door:test",
    type: "AgentToolDoor",
    specVersion: "0.1.0",
    name: "Agent tools of tests",
    agentMachineProfileRef: "urn:srcos:agent-machine-profile:default",
    ...DEFAULT_AGENT_TOOL_DOOR,
    ...over,
  };
}

/** An interface profile of the agent-tool door of a profile. */
export function agentToolInterface(over: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return interfaceDocument({
    id: "urn:srcos:secure-host-interface:test-tools",
    interfaceKind: "agent-tool",
    doorRef: "urn:srcos:agent-tool-door:default",
    transportMode: "loopback-http",
    allowedOperations: ["agent-tool.list", "agent-tool.read"],
    ...over,
  });
}

/** A profile called `work`. */
export function profileDocumentOf(over: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    id: "urn:srcos:agent-machine-profile:work",
    type: "AgentMachineProfile",
    specVersion: "0.1.0",
    name: "work",
    ...DEFAULT_PROFILE,
    ...over,
  };
}

/** Writes a document into the folder of interface documents; answers its path. */
export function writeDocument(configDir: string, name: string, document: unknown): string {
  const folder = join(configDir, "interfaces");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, name);
  // In one step, as editors save: whoever watches reads the old one or the new one.
  const saved = `${configDir}.new`;
  writeFileSync(saved, typeof document === "string" ? document : JSON.stringify(document, null, 2), {
    mode: 0o600,
  });
  renameSync(saved, path);
  return path;
}
