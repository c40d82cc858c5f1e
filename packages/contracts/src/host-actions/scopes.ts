import * as z from "zod";
import { Sha256 } from "../text.ts";
import { ScopeId } from "./requests.ts";

const PolicyPath = z
  .string()
  .min(1)
  .max(4096)
  .regex(/^(?:~|\/|[A-Za-z]:[\\/])[^\u0000-\u001f\u007f]*$/)
  .describe("Absolute path, or one that starts with ~");

/** When a person on the host has to say yes: each time, or never, by this very line of the policy. */
export const Confirmation = z
  .enum(["always", "never"])
  .describe("Whether a person on the host confirms each use; always when absent");

/** Folders of the host where structured file operations may be done. */
export const FileScope = z.strictObject({
  id: ScopeId,
  roots: z.array(PolicyPath).min(1).max(20).describe("Folders or files that operations stay within"),
  operations: z
    .array(z.enum(["mkdir", "writeFile", "appendFile", "rename", "remove"]))
    .min(1)
    .max(5)
    .describe("Operations that may be done"),
  maxFileBytes: z
    .int()
    .min(1)
    .max(8_388_608)
    .optional()
    .describe("Largest file that may result; 1 MiB when absent"),
  recursiveRemove: z
    .boolean()
    .optional()
    .describe("Whether folders may be removed with what they hold; no when absent"),
  confirm: Confirmation.optional(),
});
export type FileScope = z.infer<typeof FileScope>;

/** What a value of a flag, or a word that is no flag, may be. */
export const ArgumentValue = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("one-of").describe("One of a list"),
    values: z.array(z.string().max(200)).min(1).max(200).describe("The list"),
  }),
  z.strictObject({
    kind: z.literal("name").describe("Letters, digits and . _ : / @ -, not starting with a hyphen"),
  }),
  z.strictObject({
    kind: z.literal("integer").describe("A whole number"),
    min: z.int().describe("Smallest"),
    max: z.int().describe("Largest"),
  }),
  z.strictObject({
    kind: z.literal("path").describe("An absolute path within the scope's path roots"),
  }),
  z.strictObject({
    kind: z.literal("word").describe("Letters, digits and . _ -, starting with a letter or a digit"),
  }),
  z.strictObject({
    kind: z.literal("match").describe("What a pattern matches as a whole, not starting with a hyphen"),
    pattern: z.string().min(1).max(500).describe("Regular expression of ECMAScript, with the u flag"),
    what: z.string().min(1).max(80).describe("What it matches, for people"),
  }),
  z.strictObject({
    kind: z.literal("text").describe("Any text that does not start with a hyphen"),
    maxLength: z.int().min(1).max(10_000).describe("Longest"),
  }),
]);
export type ArgumentValue = z.infer<typeof ArgumentValue>;

/** A flag by all its spellings; abbreviations and joined short flags are not understood and so refused. */
export const FlagRule = z.strictObject({
  names: z
    .array(
      z
        .string()
        .max(80)
        .regex(/^--?[A-Za-z0-9][A-Za-z0-9-]*$/),
    )
    .min(1)
    .max(4)
    .describe("Spellings, e.g. -o and --output"),
  value: ArgumentValue.optional().describe(
    "Value that follows as the next argument or after =; none when absent",
  ),
  form: z
    .enum(["next", "joined"])
    .optional()
    .describe(
      "The only form of the value: as the next argument, or joined with =; when absent both for long names and the next argument for -x",
    ),
  repeat: z.boolean().optional().describe("Whether it may be given more than once"),
});
export type FlagRule = z.infer<typeof FlagRule>;

/** One command of a program: its subcommand words, exactly, then its flags and what else may follow. */
export const CommandRule = z.strictObject({
  words: z
    .array(z.string().min(1).max(80))
    .max(6)
    .describe("Subcommand words, in order; empty for the bare program"),
  flags: z.array(FlagRule).max(100).optional().describe("Flags of the command"),
  operands: z
    .strictObject({
      min: z.int().min(0).max(100).describe("Fewest"),
      max: z.int().min(0).max(100).describe("Most"),
      first: z
        .array(ArgumentValue)
        .min(1)
        .max(5)
        .optional()
        .describe("What the first ones are, one by one; the others as value says"),
      value: ArgumentValue.describe("What each may be"),
    })
    .optional()
    .describe("Arguments that are no flags; none when absent"),
  separator: z
    .boolean()
    .optional()
    .describe("Whether one -- may stand, after which there are no flags; no when absent"),
  programs: z
    .array(z.string().min(1).max(80))
    .min(1)
    .max(20)
    .optional()
    .describe("File names of the executables that it holds for; all when absent"),
  effect: z.enum(["read", "write"]).describe("Whether it only reads"),
  confirm: Confirmation.optional(),
});
export type CommandRule = z.infer<typeof CommandRule>;

/** A program of the host, and exactly what may be run of it. */
export const ProcessScope = z.strictObject({
  id: ScopeId,
  executables: z
    .array(
      z.strictObject({
        path: PolicyPath,
        sha256: Sha256.optional().describe(
          "Digest that the file must have; its owner and mode are checked anyway",
        ),
        owner: z
          .enum(["root", "user"])
          .optional()
          .describe(
            "Who may own the file and the folders on its way: root, or the user of the bridge too; root when absent",
          ),
      }),
    )
    .min(1)
    .max(20)
    .describe("Programs, by absolute path"),
  cwdRoots: z
    .array(PolicyPath)
    .max(20)
    .describe("Folders that may be the working folder; the first is the default"),
  pathRoots: z
    .array(PolicyPath)
    .max(50)
    .optional()
    .describe("Folders that path arguments may lie in; none when absent"),
  environment: z
    .strictObject({
      set: z
        .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/), z.string().max(4096))
        .optional()
        .describe("Variables that are always set"),
      inherit: z
        .array(z.string().max(128))
        .max(50)
        .optional()
        .describe("Variables taken from the bridge's own environment"),
      request: z.array(z.string().max(128)).max(50).optional().describe("Variables that a request may set"),
    })
    .optional()
    .describe("Environment; nothing else is in it but PATH, HOME, LANG and TZ of fixed values"),
  interspersed: z
    .boolean()
    .optional()
    .describe("Whether flags, the global ones too, may follow operands; only before them when absent"),
  globalFlags: z.array(FlagRule).max(50).optional().describe("Flags that may stand before the subcommand"),
  commands: z.array(CommandRule).min(1).max(300).describe("Commands that may be run; no other may"),
  timeoutSeconds: z.int().min(1).max(86_400).describe("Time limit, and highest that a request may ask for"),
  maxOutputBytes: z
    .int()
    .min(1024)
    .max(16_777_216)
    .optional()
    .describe("Output kept of each stream; 1 MiB when absent"),
  maxInputBytes: z.int().min(0).max(1_048_576).optional().describe("Standard input; none when absent"),
  confirm: Confirmation.optional(),
});
export type ProcessScope = z.infer<typeof ProcessScope>;

/** The presets of process scopes; what each allows is shown by `doorward action preset show`. */
export const ACTION_PRESETS = [
  "docker-cli",
  "podman",
  "kubectl",
  "helm",
  "terraform",
  "git",
  "gh",
  "aws-cli",
  "gcloud",
  "azure-cli",
  "kustomize",
  "ansible",
  "vault",
  "nomad",
] as const;
export const ActionPreset = z.enum(ACTION_PRESETS).describe("A preset of a process scope");
export type ActionPreset = z.infer<typeof ActionPreset>;

/** What of the host may be acted on: nothing by default. */
export const ActionPolicy = z.strictObject({
  files: z.array(FileScope).max(50).optional().describe("File scopes"),
  processes: z.array(ProcessScope).max(50).optional().describe("Process scopes"),
  presets: z
    .array(
      z.strictObject({
        preset: ActionPreset,
        executables: z
          .array(PolicyPath)
          .max(10)
          .optional()
          .describe("Where the program is; the usual places when absent"),
        owner: z
          .enum(["root", "user"])
          .optional()
          .describe("Who may own the programs: root, or the user of the bridge too; root when absent"),
        cwdRoots: z
          .array(PolicyPath)
          .max(20)
          .optional()
          .describe("Working folders; an empty private one when absent"),
        pathRoots: z.array(PolicyPath).max(50).optional().describe("Folders that path arguments may lie in"),
        confirm: Confirmation.optional(),
      }),
    )
    .max(20)
    .optional()
    .describe("Process scopes by preset; the scope's id is the preset's name"),
  hosts: z
    .strictObject({
      confirm: Confirmation.optional(),
      suffixes: z
        .array(z.string().max(253))
        .max(50)
        .optional()
        .describe("Host names that may be written end in one of these; any when absent"),
    })
    .optional()
    .describe("The hosts file; closed when absent"),
  clipboard: z
    .strictObject({
      read: z.boolean().optional().describe("Whether it may be read; no when absent"),
      write: z.boolean().optional().describe("Whether it may be written; no when absent"),
      confirmRead: Confirmation.optional(),
      confirmWrite: Confirmation.optional(),
    })
    .optional()
    .describe("The clipboard; closed when absent"),
  confirmSeconds: z
    .int()
    .min(5)
    .max(600)
    .optional()
    .describe("How long a confirmation is waited for; 45 s when absent"),
});
export type ActionPolicy = z.infer<typeof ActionPolicy>;
