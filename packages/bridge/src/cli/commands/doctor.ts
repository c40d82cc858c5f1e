import { spawn } from "node:child_process";
import type { HostFacts, HostFinding } from "@doorward/contracts";
import type { Command } from "commander";
import * as z from "zod";
import type { Cli } from "../cli.ts";
import { confirm } from "../confirm.ts";
import { escapeLine } from "@doorward/client/operator";
import { probeHost, type HostReport } from "../probe-host.ts";
import type { Output } from "../output.ts";
import { parseOptions } from "../parse-input.ts";
import { leaf, type Run } from "../run.ts";

const DoctorOptions = z.object({ fix: z.boolean().optional(), yes: z.boolean().optional() });
const HOST_NOT_READY = 5;
const ID_WIDTH = 22;
const MEANING: Readonly<Record<HostFacts["grade"], string>> = {
  full: "every protection of the design is enforced here",
  reduced: "machines work, and some protections are weaker than designed",
  weak: "machines work without an identity of their own: a break-out would act as you",
};

/** `doorward doctor`. */
export function defineDoctor(command: Command, cli: Cli): void {
  command
    .option("--fix", "install the packages that are missing, after asking")
    .option("-y, --yes", "with --fix: don't ask");
  leaf(
    command,
    cli,
    ["doorward doctor", "doorward doctor --fix", "doorward doctor --json | jq .grade"],
    async (run, _args, given) => {
      const { fix, yes } = parseOptions(DoctorOptions, given);
      let report = await probeHost(run.cli);
      const packages = fix === true ? missingPackages(report.findings) : [];
      if (packages.length > 0 && (yes === true || (await agreed(run, packages)))) {
        const code = await install(packages);
        if (code !== 0) return code;
        report = await probeHost(run.cli);
      }
      run.output.result(report.facts ?? { grade: null, findings: report.findings }, () =>
        text(run.output, report),
      );
      return report.facts === undefined ? HOST_NOT_READY : 0;
    },
  );
}

function text(output: Output, { facts, findings }: HostReport): string {
  const groups = (["missing", "degraded", "ok"] as const).map((state) => group(output, state, findings));
  const grade =
    facts === undefined
      ? `${output.style("red", "not ready")}: machines can't be launched here yet`
      : `${output.style(facts.grade === "full" ? "green" : "yellow", facts.grade)}: ${MEANING[facts.grade]}`;
  const mend =
    missingPackages(findings).length > 0
      ? ["", output.commands("  doorward doctor --fix    installs what is missing")]
      : [];
  return [...groups.filter((lines) => lines !== ""), "", `grade  ${grade}`, ...mend].join("\n");
}

function group(output: Output, state: HostFinding["state"], findings: readonly HostFinding[]): string {
  const mark = {
    missing: output.style("red", "✗"),
    degraded: output.style("yellow", "!"),
    ok: output.style("green", "✓"),
  }[state];
  return findings
    .filter((finding) => finding.state === state)
    .flatMap((finding) => [
      `${mark} ${output.style("bold", finding.id.padEnd(ID_WIDTH))} ${output.wrap(escapeLine(finding.found), 2 + ID_WIDTH + 1)}`,
      ...(finding.costs === null ? [] : [`    costs  ${output.wrap(escapeLine(finding.costs), 11)}`]),
      ...(finding.fix === null ? [] : [`    fix    ${escapeLine(finding.fix)}`]),
    ])
    .join("\n");
}

/** Packages that findings name in an apt command; nothing else of a finding is ever executed. */
export function missingPackages(findings: readonly HostFinding[]): readonly string[] {
  const names = findings
    .filter(({ state }) => state !== "ok")
    .flatMap(
      ({ fix }) =>
        /^(?:sudo )?apt-get install -y ([a-z0-9][a-z0-9.+ -]*)$/.exec(fix ?? "")?.[1]?.split(" ") ?? [],
    );
  return [...new Set(names.filter((name) => /^[a-z0-9][a-z0-9.+-]+$/.test(name)))].sort();
}

async function agreed({ cli }: Run, packages: readonly string[]): Promise<boolean> {
  if (cli.stdin.isTTY !== true) {
    cli.stderr.write(
      `Not installed without a terminal to ask on: ${packages.join(" ")}; --yes does not ask\n`,
    );
    return false;
  }
  const how = sudo().length > 0 ? " through sudo" : "";
  return confirm(cli, `Install ${packages.join(" ")} with apt-get${how}?`);
}

function install(packages: readonly string[]): Promise<number> {
  const [program = "apt-get", ...args] = [...sudo(), "apt-get", "install", "-y", "--", ...packages];
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ["inherit", 2, 2],
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? 1));
  });
}

function sudo(): readonly string[] {
  return process.getuid?.() === 0 ? [] : ["sudo"];
}
