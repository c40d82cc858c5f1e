export { neverRequested, neverSet } from "./environment.ts";
export { isInterpreter } from "./interpreters.ts";
export { foundPlaces, presetScope, processScopes } from "./process-scopes.ts";
export { identifyProgram, type Owners, type ProgramVerdict } from "./program.ts";
export { ScopeJudge, type JudgeContext } from "./scope-judge.ts";
export { outsideScope, quoted } from "./violation.ts";
export { privateFolderOf } from "./working-folder.ts";
