// The files that a change touches, as git tells. A branch is compared with its merge base with the
// default branch. On the default branch itself the last commits count. What is not committed counts
// in both cases.

const LAST_COMMITS = 10
const DEFAULT_BRANCHES = ["origin/HEAD", "origin/main", "origin/master", "main", "master"]

type Changes =
  | { readonly files: readonly string[]; readonly since: string }
  | { readonly files: undefined; readonly reason: string }

function git(root: string, ...words: string[]): string | undefined {
  const run = Bun.spawnSync(["git", "-C", root, ...words], { stdio: ["ignore", "pipe", "ignore"] })
  return run.exitCode === 0 ? run.stdout.toString().trim() : undefined
}

const lines = (text: string | undefined): string[] =>
  (text ?? "").split("\n").filter((line) => line !== "")

/** The commit to compare with, and how to call it. */
function base(root: string): { commit: string; name: string } | undefined {
  const head = git(root, "rev-parse", "HEAD")
  for (const branch of DEFAULT_BRANCHES) {
    const common = git(root, "merge-base", "HEAD", branch)
    if (common !== undefined && common !== head) return { commit: common, name: branch }
  }
  // a shallow clone may have fewer
  const commits = lines(git(root, "rev-list", "--first-parent", `-${LAST_COMMITS + 1}`, "HEAD"))
  const oldest = commits.at(-1)
  if (oldest === undefined || commits.length < 2) return undefined
  const count = commits.length - 1
  return { commit: oldest, name: `${count} ${count === 1 ? "commit" : "commits"} ago` }
}

/** @param since a commit to compare with; without one it is chosen as above. */
export function changedFiles(root: string, since?: string): Changes {
  if (git(root, "rev-parse", "--git-dir") === undefined)
    return { files: undefined, reason: "this is no git checkout, so no change is known" }
  const from = since === undefined ? base(root) : { commit: since, name: since }
  if (from === undefined)
    return { files: undefined, reason: "the clone has one commit, so no change is known" }
  const committed = git(root, "diff", "--name-only", from.commit, "HEAD")
  if (committed === undefined)
    return { files: undefined, reason: `the clone has no commit ${from.name}` }
  const open = git(root, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all")
  const paths = (open ?? "").split("\0").map((entry) => entry.replace(/^.{1,2} /, ""))
  return {
    files: [...new Set([...lines(committed), ...paths.filter((path) => path !== "")])],
    since: from.name,
  }
}
