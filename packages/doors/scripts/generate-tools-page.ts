/** Writes `docs/tools.md` from the tools of the agent-tool door; run with `npm run tools-page`. */
import { writeFileSync } from "node:fs";
import { toolsPage } from "./tools-page.ts";

writeFileSync(new URL("../../../docs/tools.md", import.meta.url), toolsPage());
