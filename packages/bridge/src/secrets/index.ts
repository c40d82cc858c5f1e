export { AnswerMask, answerMask, type BodyMask } from "./answer-mask.ts";
export { boundRequestHeaders, guardBoundAnswer, type BoundRequest } from "./guard-bound-host.ts";
export { MachineSecrets, type MachineSecretsOptions, type PlacedSecrets } from "./machine-secrets.ts";
export { SecretStore, type StoredSecret } from "./secret-store.ts";
export { substituteHeaders, type Substituted } from "./substitute.ts";
