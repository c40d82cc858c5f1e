import assert from "node:assert/strict";
import { it } from "node:test";
import { ROUTES, type RouteId } from "@doorward/contracts";
import { loadRoute } from "@doorward/contracts/routes";

it("a route that is loaded by its id is the one that all routes have", async () => {
  for (const [id, route] of Object.entries(ROUTES)) assert.equal(await loadRoute(id as RouteId), route, id);
});

it("an id of no route is refused, whatever word it begins with", async () => {
  for (const id of [
    "",
    "bridge",
    "bridge.",
    "bridge.nope",
    "toString",
    "constructor.name",
    "machines.__proto__",
  ])
    await assert.rejects(loadRoute(id as RouteId), /^Error: No route is called/, id);
});
