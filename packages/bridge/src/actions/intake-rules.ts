import { isIP } from "node:net";
import type { HostActionRequest, WorkflowStep } from "@doorward/contracts";

/** What is wrong with a field, beyond what a schema can say. */
export interface FieldProblem {
  readonly field: string;
  readonly why: string;
}

/** Rules across fields and of meaning; null when a request keeps them all. */
export function checkMeaning(request: HostActionRequest): FieldProblem | null {
  switch (request.action) {
    case "system.clipboard.read":
      return null;
    case "system.clipboard.write":
      return request.payload.text.trim() === "" ? problem("payload.text", "it is blank") : null;
    case "system.hosts.write":
    case "system.host.write":
      return first(request.payload.records, ({ address }, at) =>
        isIP(address) === 0 ? problem(`payload.records.${at}.address`, "it is no IP address") : null,
      );
    case "system.fs.mutate":
      return first(request.payload.operations, (operation, at) =>
        "content" in operation && operation.encoding === "base64"
          ? base64(operation.content, `payload.operations.${at}.content`)
          : null,
      );
    case "system.process.exec":
      return inputProblem(request.payload, "payload");
    case "system.workflow.run":
      return workflowProblem(request.payload);
  }
}

function workflowProblem(payload: {
  readonly steps: readonly WorkflowStep[];
  readonly confirmation?: { readonly requiredForStepIds?: readonly string[] | undefined } | undefined;
}): FieldProblem | null {
  const ids = new Set<string>();
  for (const [at, step] of payload.steps.entries()) {
    if (ids.has(step.id)) return problem(`payload.steps.${at}.id`, "another step has this id");
    ids.add(step.id);
    const wrong = inputProblem(step, `payload.steps.${at}`);
    if (wrong !== null) return wrong;
  }
  return first(payload.confirmation?.requiredForStepIds ?? [], (id, at) =>
    ids.has(id) ? null : problem(`payload.confirmation.requiredForStepIds.${at}`, "no step has this id"),
  );
}

function inputProblem(
  { input, encoding }: { readonly input?: string | undefined; readonly encoding?: string | undefined },
  at: string,
): FieldProblem | null {
  return input !== undefined && encoding === "base64" ? base64(input, `${at}.input`) : null;
}

function base64(text: string, field: string): FieldProblem | null {
  const canonical = Buffer.from(text, "base64").toString("base64");
  return canonical === text ? null : problem(field, "it is not base64");
}

function problem(field: string, why: string): FieldProblem {
  return { field, why };
}

function first<Item>(
  items: readonly Item[],
  judge: (item: Item, at: number) => FieldProblem | null,
): FieldProblem | null {
  for (const [at, item] of items.entries()) {
    const found = judge(item, at);
    if (found !== null) return found;
  }
  return null;
}
