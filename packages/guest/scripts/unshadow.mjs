// Node and npm of the machines are dependencies, and npm links their programs where scripts look first:
// without this, every npm script on the host would run under the machines' Node instead of the host's own.
import { lstatSync, readlinkSync, rmSync } from "node:fs";
import { URL } from "node:url";

const packages = /^\.\.\/(?:node-linux-[a-z0-9]+|npm)\//;

for (const folder of ["../../../node_modules/.bin/", "../node_modules/.bin/"]) {
  for (const name of ["node", "npm", "npx"]) {
    const link = new URL(folder + name, import.meta.url);
    const stat = lstatSync(link, { throwIfNoEntry: false });
    if (stat?.isSymbolicLink() === true && packages.test(readlinkSync(link))) rmSync(link);
  }
}
