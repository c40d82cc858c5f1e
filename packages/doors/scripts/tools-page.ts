import { AGENT_TOOLS, TOOL_NAMES, type ToolName } from "@doorward/contracts";
import * as z from "zod";
import type { Tool } from "../src/agent-tool/tool.ts";
import { ALL_TOOLS } from "../src/agent-tool/tools/all-tools.ts";

const INTRODUCTION = `# Tools for agents

What agents find at the agent-tool door of a machine: \`/v1/machines/{machine}/doors/agent-tool/mcp\`. Each tool works in the
machine, under the grant of whoever calls it, and every call is recorded. Which of them a session has follows from the
operations of its grant, the machine's profile and the kind of client; \`tools/list\` names those alone.

Paths are paths of the machine: absolute, or relative to its first repository. A grant with \`agent-tool.exec\` reaches all of
the machine's files, as commands do; any other one the folders that it covers. Git's settings and hooks, and whatever
else the machine's profile protects, can't be changed by any tool.

- A change is atomic: a file has its old or its new content, never a part. \`apply_patch\` and \`edit_file\` make all of their
  changes or none, on the content that they were worked out on: when a file changes meanwhile they start anew, and give up
  with \`PATH_CHANGED\` after three attempts.
- \`write_file\` overwrites what is there unless \`if_digest\` or \`create_only\` says otherwise: a client that never read a file
  may replace it. Digests are in the answers of \`read_file\`, \`write_file\`, \`edit_file\` and \`apply_patch\`.
- Files stay executable when they are changed, moved, or both. A diff with git's headers makes a new or changed file executable
  (\`new file mode 100755\`, \`new mode 100755\`) or takes that from it; other bits of a mode are not taken from patches.
- \`\\n\` in the texts of an edit or a patch matches \`\\r\\n\` too, and what is put in takes the line ends of its place.
  Encodings and byte order marks stay; a file that is not UTF-8, or UTF-16 with a mark, is not changed as text.
- Long answers are cut at a limit, say so in words, and name the argument that reads on.
- \`git_status\` and \`git_diff\` run git in the machine so that it writes nothing and starts nothing of hooks, pagers, file
  system monitors, external diffs or text conversions. Under a grant without \`agent-tool.exec\` they are held to the
  repository that the grant covers, switch off its filters, and don't look into submodules; a grant of a part of the
  repository has neither, as git reads all of it. A path that is neither in the work tree nor in the index or the commits
  that are compared is refused; what was deleted has its answer.

A failure names a code of [errors.md](errors.md), what happened, and what to do next.

This page is generated from the tools by \`npm run tools-page\`, and a test keeps them equal.
`;

const Shape = z.looseObject({
  type: z.union([z.string(), z.array(z.string())]).optional(),
  const: z.unknown().optional(),
  enum: z.array(z.unknown()).optional(),
  description: z.string().optional(),
  get properties() {
    return z.record(z.string(), Shape).optional();
  },
  required: z.array(z.string()).optional(),
  get items() {
    return Shape.optional();
  },
  get anyOf() {
    return z.array(Shape).optional();
  },
  get oneOf() {
    return z.array(Shape).optional();
  },
});
type Shape = z.infer<typeof Shape>;

/** The reference of all tools as a page of Markdown. */
export function toolsPage(): string {
  const sections = TOOL_NAMES.flatMap((name) => {
    const tool = ALL_TOOLS.find((each) => each.name === name);
    return tool === undefined ? [] : [section(tool)];
  });
  return [INTRODUCTION, overview(), ...sections].join("\n");
}

function overview(): string {
  const row = (name: ToolName): string => {
    const { operation, effect } = AGENT_TOOLS[name];
    return `| [\`${name}\`](#${name}) | \`${operation}\` | ${effect} |`;
  };
  const built = TOOL_NAMES.filter((name) => ALL_TOOLS.some((tool) => tool.name === name));
  return ["| tool | operation | effect |", "| --- | --- | --- |", ...built.map(row), ""].join("\n");
}

function section({ name, description, input, output, hints }: Tool): string {
  const { operation, effect } = AGENT_TOOLS[name];
  const repeats = hints.idempotent ? "calling it again changes nothing more" : "each call counts";
  const loses = hints.destructive ? "may overwrite or delete" : "overwrites and deletes nothing";
  return [
    `## ${name}`,
    "",
    description,
    "",
    `Operation \`${operation}\`; effect: ${effect}; ${repeats}; ${loses}.`,
    "",
    ...table("argument", z.toJSONSchema(input, { io: "input" })),
    "",
    ...table("answer", z.toJSONSchema(output, { io: "output" })),
    "",
  ].join("\n");
}

function table(head: string, schema: unknown): string[] {
  const rows = fields(Shape.parse(schema), "");
  if (rows.length === 0) return ["It takes no arguments."];
  return [`| ${head} | type | what |`, "| --- | --- | --- |", ...rows];
}

function fields(schema: Shape, prefix: string): string[] {
  const required = new Set(schema.required);
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const path = `${prefix}${name}`;
    const optional = required.has(name) ? "" : ", optional";
    const what = (field.description ?? "").replaceAll("|", "\\|").replaceAll("\n", " ");
    return [`| \`${path}\` | ${typeOf(field)}${optional} | ${what} |`, ...inner(field, path)];
  });
}

function inner(field: Shape, path: string): string[] {
  if (field.items?.properties !== undefined) return fields(field.items, `${path}[].`);
  return field.properties === undefined ? [] : fields(field, `${path}.`);
}

function typeOf(field: Shape): string {
  const choices = field.anyOf ?? field.oneOf;
  if (choices !== undefined) return [...new Set(choices.map(typeOf))].join(" or ");
  if (field.const !== undefined) return `\`${JSON.stringify(field.const)}\``;
  if (field.enum !== undefined) return field.enum.map((each) => `\`${JSON.stringify(each)}\``).join(", ");
  if (field.items !== undefined) return `array of ${typeOf(field.items)}`;
  return [field.type ?? "any"].flat().join(" or ");
}
