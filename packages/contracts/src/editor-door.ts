import * as z from "zod";
import { AgentMachineProfileRef, DefaultDecision, documentHead } from "./document-head.ts";
import { Duration, HostPath, MachinePath } from "./text.ts";

/** A command that an editor may start in the machine, by name. */
export const EditorCommand = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9._:-]{0,79}$/)
    .describe("Name that the editor asks for"),
  argv: z
    .array(
      z
        .string()
        .max(4096)
        .regex(/^[^\u0000]*$/),
    )
    .min(1)
    .max(256)
    .describe("Program and arguments; no shell reads them"),
  cwd: MachinePath.describe("Working folder in the machine"),
  timeout: Duration.describe("Time after which it is ended"),
});
export type EditorCommand = z.infer<typeof EditorCommand>;

/** A repo that an editor sees. */
export const EditorMount = z.strictObject({
  hostPath: HostPath.describe("Resolved path of the repo on the host"),
  agentPath: MachinePath.describe("Where the machine has it"),
  accessMode: z.enum(["read-only", "read-write"]).describe("Highest access of the editor"),
});
export type EditorMount = z.infer<typeof EditorMount>;

/** A place that may be edited. */
export const EditAllowance = z.strictObject({
  path: HostPath.describe("Resolved host path of a repo, or of a folder or file in it"),
  decision: DefaultDecision.extract(["ask", "permit"]).describe("Whether each edit asks the operator first"),
});
export type EditAllowance = z.infer<typeof EditAllowance>;

/** Editor door of an agent machine. */
export const EditorDoor = z
  .strictObject({
    ...documentHead("EditorDoor", "editor-door"),
    name: z.string().min(1).max(80).describe("Name for people"),
    agentMachineProfileRef: AgentMachineProfileRef,
    mode: z
      .enum(["vscode-extension", "devcontainer", "remote-ssh", "local-cli-bridge"])
      .describe("Editor integration mode"),
    repoMountScope: z
      .array(EditorMount)
      .min(1)
      .max(64)
      .describe("Repos that the editor sees; no others, and no folder that holds one of them"),
    commands: z
      .strictObject({
        task: z.array(EditorCommand).max(100).describe("Tasks"),
        test: z.array(EditorCommand).max(100).describe("Test commands"),
        run: z.array(EditorCommand).max(100).describe("Run commands"),
      })
      .describe("Commands that the editor may start; what is not listed needs a terminal's grant"),
    editAuthorization: z
      .strictObject({
        defaultDecision: z.literal("deny").describe("What no allowance names can't be edited"),
        allow: z.array(EditAllowance).max(200).describe("Places that may be edited"),
        protectedNames: z
          .literal("deny")
          .describe("Names that the host trusts or executes, such as .git/hooks, are never edited"),
        recordEdits: z.literal(true).describe("Each edit is recorded by path and digest"),
      })
      .describe("File edit authorisation"),
  })
  .describe(
    "Editor door of an agent machine: integration mode, repo mount scope, commands and edit authorisation",
  );
export type EditorDoor = z.infer<typeof EditorDoor>;
