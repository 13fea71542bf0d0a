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

/** Subjects of the commits after `base`; nothing where git or that commit is missing. */
export function checkCommits(root: string, base: string): Finding[] {
  if (Bun.which("git") === null) return []
  const log = Bun.spawnSync(["git", "log", "--format=%h%x09%s", `${base}..HEAD`], {
    cwd: root,
    stdio: ["ignore", "pipe", "ignore"],
  })
  return log.exitCode === 0 ? checkSubjects(log.stdout.toString()) : []
}
