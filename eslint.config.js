import js from "@eslint/js";
import tseslint from "typescript-eslint";

/** Packages of ours that each package may import; the same direction stands in package.json and the tsc references. */
const allowed = {
  contracts: [],
  guest: ["contracts"],
  client: ["contracts"],
  "plugin-sdk": ["client"],
  doors: ["contracts", "guest"],
  bridge: ["contracts", "guest", "client", "doors"],
  "openclaw-plugin": ["contracts", "client"],
  "vscode-ext": ["contracts", "client"],
};
const names = Object.keys(allowed);

function importRule(name) {
  const refused = names.filter((other) => other !== name && !allowed[name].includes(other));
  const patterns = refused.map((other) => ({
    group: [`@doorward/${other}`, `@doorward/${other}/*`],
    message: `Imports run one way: ${name} does not import ${other}.`,
  }));
  patterns.push({
    group: ["**/packages/**", "../../../*/src/**"],
    message: "Enter packages by their exports.",
  });
  return {
    files: [`packages/${name}/src/**/*.ts`],
    rules: { "no-restricted-imports": ["error", { patterns }] },
  };
}

export default tseslint.config(
  { ignores: ["**/dist/**", "**/node_modules/**", "packages/contracts/schemas/**"] },
  js.configs.recommended,
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        project: ["packages/*/tsconfig.json", "tsconfig.test.json"],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      "@typescript-eslint/restrict-template-expressions": [
        "error",
        { allowNumber: true, allowBoolean: true },
      ],
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "no-control-regex": "off",
      "no-restricted-syntax": [
        "error",
        { selector: "ExportDefaultDeclaration", message: "No default exports." },
        { selector: "ExportAllDeclaration", message: "No export *." },
      ],
    },
  },
  {
    files: ["eslint.config.js", "**/test/**/*.ts", "test/**/*.ts", "bench/**/*.ts", "**/*.js", "**/*.mjs"],
    rules: { "no-restricted-syntax": "off" },
  },
  {
    files: ["**/test/**/*.ts", "bench/**/*.ts"],
    rules: {
      "@typescript-eslint/no-floating-promises": "off",
      "@typescript-eslint/no-non-null-assertion": "off",
    },
  },
  { files: ["**/*.js", "**/*.mjs"], ...tseslint.configs.disableTypeChecked },
  ...names.map(importRule),
);
