export { AnswerMask, answerMask } from "./answer-mask.ts";
export { boundRequestHeaders, guardBoundAnswer, type BoundRequest } from "./guard-bound-host.ts";
export { substituteHeaders, type Substituted } from "./substitute.ts";
