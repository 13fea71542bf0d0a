import type { Finding } from "./finding.ts"

/** A subject has fewer characters than this. */
const SUBJECT_CHARACTERS = 72

/** Findings for lines of `git log --format=%h%x09%s`. */
export function checkSubjects(log: string): Finding[] {
  return log
    .split("\n")
    .map((line) => {
      const [commit = "", subject = ""] = line.split("\t", 2)
      return { commit, subject, characters: Array.from(subject).length }
    })
    .filter(({ characters }) => characters >= SUBJECT_CHARACTERS)
    .map(({ commit, subject, characters }) => ({
      check: "commit-subject",
      path: `commit ${commit}`,
      line: 1,
      message: `${characters} characters; fewer than ${SUBJECT_CHARACTERS}: ${subject}`,
    }))
}

/** Output of a git command, or nothing when it fails. */
function git(root: string, ...words: string[]): string | undefined {
  const run = Bun.spawnSync(["git", ...words], { cwd: root, stdio: ["ignore", "pipe", "ignore"] })
  return run.exitCode === 0 ? run.stdout.toString() : undefined
}

/**
 * Subjects of the commits after `base`. Nothing is checked without git, outside a checkout or in a
 * shallow one; a whole history without that commit is a finding.
 */
export function checkCommits(root: string, base: string): Finding[] {
  if (Bun.which("git") === null) return []
  if (git(root, "rev-parse", "--is-shallow-repository")?.trim() !== "false") return []
  const log = git(root, "log", "--format=%h%x09%s", `${base}..HEAD`)
  if (log !== undefined) return checkSubjects(log)
  const message = `commitsAfter is ${base}, which is no commit of this history`
  return [{ check: "commit-subject", path: "tidy.config.json", line: 1, message }]
}
