import type { ScopeViolation } from "@doorward/contracts";

/** Why an argument list is refused, in the words of the contract. */
export type ArgumentProblem = Pick<
  ScopeViolation,
  "reason" | "message" | "argument" | "argumentPath" | "pathSource"
>;

/** Thrown inside the argument policy; the judge makes an answer of it. */
export class ArgumentRefusal extends Error {
  readonly problem: ArgumentProblem;

  constructor(problem: ArgumentProblem) {
    super(problem.message);
    this.name = "ArgumentRefusal";
    this.problem = problem;
  }
}

/** The refusal of one argument. */
export function notAllowed(argument: string, message: string): ArgumentRefusal {
  return new ArgumentRefusal({ reason: "ARGUMENT_NOT_ALLOWED", message, argument });
}

/** The refusal of a list as a whole, where no single argument is to blame. */
export function wrongList(message: string): ArgumentRefusal {
  return new ArgumentRefusal({ reason: "ARGUMENT_POLICY_VIOLATION", message });
}
