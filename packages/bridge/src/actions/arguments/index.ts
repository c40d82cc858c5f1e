export { ArgumentRefusal, type ArgumentProblem } from "./argument-problem.ts";
export { compiled } from "./check-value.ts";
export {
  matchCommand,
  type ArgumentPolicy,
  type MatchedCommand,
  type PathArgument,
} from "./match-command.ts";
export { checkPathPlace, type PathPlaces } from "./path-place.ts";
