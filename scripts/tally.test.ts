import { expect, test } from "bun:test"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import {
  clearReports,
  countReport,
  failedTests,
  isGreen,
  tallyLine,
  tallyReports,
} from "./tally.ts"

const report = (attributes: string) =>
  `<?xml version="1.0"?>\n<testsuites name="bun test" ${attributes} time="1">\n<testsuite ` +
  `tests="99"/></testsuites>`

test("a report's counts come from its outermost element, errors are failures", () => {
  expect(countReport(report(`tests="9" failures="2" errors="1" skipped="3"`))).toEqual({
    passed: 3,
    failed: 3,
    skipped: 3,
  })
  expect(countReport(report(`tests="4" failures="0"`))).toEqual({
    passed: 4,
    failed: 0,
    skipped: 0,
  })
  expect(() => countReport("<html></html>")).toThrow("no <testsuites>")
})

test("the closing line names skipped tests only when there are some", () => {
  expect(tallyLine({ passed: 7, failed: 0, skipped: 1, reports: 2 })).toBe(
    "7 passed, 0 failed, 1 skipped",
  )
  expect(tallyLine({ passed: 7, failed: 2, skipped: 0, reports: 2 })).toBe("7 passed, 2 failed")
})

test("a run without a report, or with skipped tests only, is not green", () => {
  expect(isGreen({ passed: 0, failed: 0, skipped: 0, reports: 0 })).toBe(false)
  expect(isGreen({ passed: 0, failed: 0, skipped: 5, reports: 1 })).toBe(false)
  expect(isGreen({ passed: 5, failed: 1, skipped: 0, reports: 1 })).toBe(false)
  expect(isGreen({ passed: 1, failed: 0, skipped: 5, reports: 1 })).toBe(true)
})

test("reports of packages, native and tests are summed, and cleared before a run", async () => {
  const root = mkdtempSync(join(tmpdir(), "ds4-tally-"))
  try {
    for (const folder of ["packages/a", "native", "tests", "elsewhere"]) {
      mkdirSync(join(root, folder, ".reports"), { recursive: true })
      writeFileSync(join(root, folder, ".reports/junit.xml"), report(`tests="2" failures="1"`))
    }
    expect(await tallyReports(root)).toEqual({ passed: 3, failed: 3, skipped: 0, reports: 3 })
    clearReports(root)
    expect((await tallyReports(root)).reports).toBe(0)
  } finally {
    rmSync(root, { recursive: true })
  }
})

test("failed tests are named with file, group and what they said", () => {
  const xml = `<testsuites><testsuite name="a"><testcase name="good" file="a.test.ts" />
<testcase name="is &gt; 1 &amp; &quot;so&quot;" classname="group" file="a.test.ts" line="3">
<failure type="AssertionError" message="expected&#10;  &lt;2&gt;">long text</failure></testcase>
<testcase name="late" classname="" file="b.test.ts"><failure message="test timed out" />
</testcase><testcase name="left out" file="b.test.ts"><skipped /></testcase></testsuite>`
  expect(failedTests(xml)).toEqual([
    'a.test.ts: group: is > 1 & "so": expected <2>',
    "b.test.ts: late: test timed out",
  ])
})
