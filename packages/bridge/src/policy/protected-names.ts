/**
 * What is read-only at the root of every writable repository, because the host runs or trusts it without being asked:
 * on `cd`, on opening the folder, on `git status` and `git commit`. Left out on purpose is what a person starts
 * knowingly (Makefile, package scripts, tests) and what runs elsewhere (`.github/workflows`): agents work on those.
 */
export const PROTECTED_IN_REPO: readonly string[] = [
  // editors and their tasks, launch and settings files
  ".vscode",
  ".idea",
  ".fleet",
  ".zed",
  ".nvim.lua",
  ".nvimrc",
  ".exrc",
  ".vimrc",
  ".lvimrc",
  ".dir-locals.el",
  ".dir-locals-2.el",
  ".editorrc",
  // shells that load a folder's settings on cd
  ".envrc",
  ".direnv",
  ".mise.toml",
  "mise.toml",
  ".mise",
  ".autoenv",
  ".autoenv.zsh",
  // containers that editors start
  ".devcontainer",
  ".devcontainer.json",
  // hooks of git and their lists
  ".husky",
  ".githooks",
  ".pre-commit-config.yaml",
  "lefthook.yml",
  ".lefthook.yml",
  "lefthook-local.yml",
  // settings and tool servers of agents on the host
  ".mcp.json",
  ".claude/settings.json",
  ".claude/settings.local.json",
  ".cursor/mcp.json",
  ".codex/config.toml",
  ".gemini/settings.json",
];

/** What is read-only in every git folder: it decides which programs git runs, or where it looks for that. */
export const PROTECTED_IN_GIT: readonly string[] = [
  "hooks",
  "config",
  "config.worktree",
  "commondir",
  "gitdir",
];

/**
 * Names that file tools refuse to change, in the form of a file stream's list: those that mounts protect where they
 * exist, so that new ones are refused too. `protect` is the profile's own; without the protection of git's settings they
 * are left out.
 */
export function protectedForFiles(
  protect: readonly string[],
  relaxations: readonly string[],
): readonly string[] {
  const relaxed = relaxations.includes("unprotected-git-config");
  const inGit = PROTECTED_IN_GIT.filter((name) => !relaxed || !name.startsWith("config"));
  const own = protect.map((name) => name.replace(/\/+$/, "")).filter((name) => name !== "");
  return [...PROTECTED_IN_REPO, ...own, ...inGit.map((name) => `.git/${name}`)];
}
