export { neverRequested } from "./environment.ts";
export { isInterpreter } from "./interpreters.ts";
export { processScopes } from "./process-scopes.ts";
export { identifyProgram, type Owners, type ProgramVerdict } from "./program.ts";
export { ScopeJudge, type JudgeContext } from "./scope-judge.ts";
export { privateFolderOf } from "./working-folder.ts";
