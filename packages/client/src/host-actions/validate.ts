import { HostActionRequest } from "@doorward/contracts";

/** The request, when it has the shape of its contract; throws an Error with code `VALIDATION_FAILED` and the field. */
export function validateHostPrivilegedActionRequest(request: unknown): HostActionRequest {
  const parsed = HostActionRequest.safeParse(request);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw invalid(issue?.path.map(String).join(".") ?? "", issue?.message ?? "it does not fit");
  }
  const { data } = parsed;
  if (data.action === "system.host.write") throw invalid("action", 'its name is "system.hosts.write"');
  if (data.action === "system.workflow.run") checkSteps(data);
  return data;
}

function checkSteps({ payload }: Extract<HostActionRequest, { action: "system.workflow.run" }>): void {
  const ids = new Set<string>();
  for (const [at, { id }] of payload.steps.entries()) {
    if (ids.has(id)) throw invalid(`payload.steps.${at}.id`, "another step has this id");
    ids.add(id);
  }
  const unknown = payload.confirmation?.requiredForStepIds?.find((id) => !ids.has(id));
  if (unknown !== undefined)
    throw invalid("payload.confirmation.requiredForStepIds", `no step has the id "${unknown}"`);
}

function invalid(field: string, why: string): Error {
  const message = `Cannot use the request: ${field === "" ? "" : `"${field}": `}${why}`;
  return Object.assign(new Error(message), { code: "VALIDATION_FAILED", field });
}
