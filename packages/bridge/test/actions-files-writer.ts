import { ScopedFiles } from "../src/actions/files/index.ts";

/** Writes whole files over and over, alternating two contents, until it is killed. Arguments: scope, journal. */
const [root = "", journalFolder = ""] = process.argv.slice(2);
const files = new ScopedFiles({
  scopes: [{ id: "s", roots: [root], operations: ["writeFile", "appendFile"], maxFileBytes: 8_000_000 }],
  journalFolder,
});
process.stdout.write("ready\n");
for (let round = 0; ; round += 1) {
  const content = (round % 2 === 0 ? "a" : "b").repeat(1_000_000);
  const names = ["one", "two", "three"];
  const plan = await files.plan(
    "s",
    names.map((name) => ({ type: "writeFile", path: `${root}/${name}`, content }) as const),
  );
  await files.apply(plan, new AbortController().signal);
}
