import { FlowLab } from "./actions-flow-lab.ts";

/** A bridge's host actions in a process of their own, in the middle of a workflow until they are killed. */
const lab = await FlowLab.open(process.argv[2] ?? "");
const step = (id: string, args: string[]) => ({ id, title: id, command: lab.program, args });
await lab.perform(
  {
    action: "system.workflow.run",
    payload: {
      scope: "tool",
      kind: "process-sequence",
      title: "Long",
      steps: [step("one", ["touch", "one"]), step("two", ["sleep"]), step("three", ["touch", "three"])],
    },
  },
  "approve",
  lab.operator(),
  (event) => process.stdout.write(`${JSON.stringify(event)}\n`),
);
