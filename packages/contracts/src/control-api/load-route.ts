import type { RouteId } from "./index.ts";
import type { Route } from "./route.ts";

type Area = RouteId extends `${infer First}.${string}` ? First : never;
type Routes = Readonly<Record<string, Route>>;

const host = async (): Promise<Routes> => (await import("./host.ts")).HOST_ROUTES;

/** The routes by the first word of their ids: most programs call few of them, and shapes take time to make. */
const AREAS: Readonly<Record<Area, () => Promise<Routes>>> = {
  actions: async () => (await import("./actions.ts")).ACTION_ROUTES,
  approvals: async () => (await import("./approvals.ts")).APPROVAL_ROUTES,
  bridge: async () => (await import("./bridge.ts")).BRIDGE_ROUTES,
  contracts: async () => (await import("./contracts.ts")).CONTRACT_ROUTES,
  egress: async () => (await import("./egress.ts")).EGRESS_ROUTES,
  evidence: async () => (await import("./evidence.ts")).EVIDENCE_ROUTES,
  grants: async () => (await import("./grants.ts")).GRANT_ROUTES,
  host,
  images: host,
  machines: async () => (await import("./machines.ts")).MACHINE_ROUTES,
  policy: host,
  secrets: async () => (await import("./secrets.ts")).SECRET_ROUTES,
  transcripts: async () => (await import("./transcripts.ts")).TRANSCRIPT_ROUTES,
};

/** The route of an operation id, as {@link ROUTES} has it, without the shapes of other areas. */
export async function loadRoute(id: RouteId): Promise<Route> {
  const [area = id] = id.split(".");
  const routes = isArea(area) ? await AREAS[area]() : {};
  const route = Object.hasOwn(routes, id) ? routes[id] : undefined;
  if (route === undefined) throw new Error(`No route is called "${id}"`);
  return route;
}

function isArea(word: string): word is Area {
  return Object.hasOwn(AREAS, word);
}
