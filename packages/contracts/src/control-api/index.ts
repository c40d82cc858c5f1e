import type * as z from "zod";
import { ACTION_ROUTES } from "./actions.ts";
import { APPROVAL_ROUTES } from "./approvals.ts";
import { BRIDGE_ROUTES } from "./bridge.ts";
import { CONTRACT_ROUTES } from "./contracts.ts";
import { EGRESS_ROUTES } from "./egress.ts";
import { EVIDENCE_ROUTES } from "./evidence.ts";
import { GRANT_ROUTES } from "./grants.ts";
import { HOST_ROUTES } from "./host.ts";
import { MACHINE_ROUTES } from "./machines.ts";
import { SECRET_ROUTES } from "./secrets.ts";
import { TRANSCRIPT_ROUTES } from "./transcripts.ts";

/** Every route of the control API by its operation id: the gateway serves them, the client calls them, OpenAPI shows them. */
export const ROUTES = {
  ...BRIDGE_ROUTES,
  ...HOST_ROUTES,
  ...CONTRACT_ROUTES,
  ...MACHINE_ROUTES,
  ...GRANT_ROUTES,
  ...EVIDENCE_ROUTES,
  ...EGRESS_ROUTES,
  ...APPROVAL_ROUTES,
  ...ACTION_ROUTES,
  ...SECRET_ROUTES,
  ...TRANSCRIPT_ROUTES,
} as const;

/** Operation id of a route. */
export type RouteId = keyof typeof ROUTES;

/** What a caller gives to a route. */
export interface RouteInput<Id extends RouteId> {
  readonly params: z.infer<(typeof ROUTES)[Id]["params"]>;
  readonly query: z.infer<(typeof ROUTES)[Id]["query"]>;
  readonly body: z.infer<(typeof ROUTES)[Id]["body"]>;
}

/** What a route answers. */
export type RouteResult<Id extends RouteId> = z.infer<(typeof ROUTES)[Id]["result"]>;

/** What a route tells while its answer goes on. */
export type RouteEvent<Id extends RouteId> = z.infer<(typeof ROUTES)[Id]["event"]>;
