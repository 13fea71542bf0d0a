"""Gathers the plain text of the training set: build/corpus.txt, documents separated by NUL.

Sources, all redistributable and present on a Debian machine with this checkout installed: documentation strings of the Python
standard library (PSF licence), read-me files of npm packages whose package.json says MIT, ISC, BSD or Apache-2.0,
and this repository's own documents.
"""
import ast
import json
import pathlib
import re
import sys
import zlib

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FREE = {"MIT", "ISC", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0"}
LIMITS = {"python": 1_400_000, "npm": 700_000, "repository": 400_000}


def python_docs():
    folder = next(p for p in (pathlib.Path("/usr/lib") / f"python3.{v}" for v in (11, 12, 13)) if p.is_dir())
    for path in sorted(folder.glob("*.py")) + sorted(folder.glob("*/*.py")):
        if "test" in path.parts or "site-packages" in path.parts:
            continue
        try:
            tree = ast.parse(path.read_text("utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        texts = [ast.get_docstring(n) for n in ast.walk(tree) if isinstance(n, (ast.Module, ast.ClassDef, ast.FunctionDef))]
        yield f"{path.stem}: " + "\n\n".join(t for t in texts if t and len(t) > 60)


def npm_docs():
    for path in sorted(ROOT.glob("node_modules/.bun/*/node_modules/*/package.json")) + sorted(ROOT.glob("node_modules/*/package.json")):
        try:
            licence = json.loads(path.read_text("utf-8")).get("license")
        except ValueError:
            continue
        for readme in sorted(path.parent.glob("[Rr][Ee][Aa][Dd][Mm][Ee]*.md")):
            if licence in FREE:
                yield readme.read_text("utf-8", "replace")


def repository_docs():
    for path in sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("docs/**/*.md")) + sorted(ROOT.glob("packages/*/README.md")) + sorted(ROOT.glob("native/**/README.md")):
        if "node_modules" not in path.parts:
            yield path.read_text("utf-8")


def clean(text):
    text = re.sub(r"<[^>\n]{1,200}>|\[!\[[^\n]*|https?://\S+", "", text.replace("\x00", "").replace("\r", ""))
    text = "".join(ch for ch in text if ch in "\n\t" or 32 <= ord(ch) < 0x250 or ch in "\u2013\u2014\u2018\u2019\u201c\u201d\u2026")
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]{5,}", "    ", text)).strip()


def main():
    seen, documents = set(), []
    for source, maker in (("python", python_docs), ("npm", npm_docs), ("repository", repository_docs)):
        used = 0
        for text in maker():
            text = clean(text)
            mark = zlib.crc32(text.encode())
            if len(text) < 200 or mark in seen or used > LIMITS[source]:
                continue
            seen.add(mark)
            documents.append(text[:60_000])
            used += len(documents[-1])
        print(f"{source}: {used} characters", file=sys.stderr)
    (HERE / "build").mkdir(exist_ok=True)
    (HERE / "build" / "corpus.txt").write_text("\x00".join(documents), "utf-8")


if __name__ == "__main__":
    main()
