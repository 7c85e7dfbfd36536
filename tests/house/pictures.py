"""The pictures of the pages: docs/pictures/*.dot, drawn as the .svg beside each by `make pictures` (this file, run)."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

FOLDER = "docs/pictures"
SVG = "{http://www.w3.org/2000/svg}"


def drawn(dot: Path) -> str:
    return subprocess.run(["dot", "-Tsvg", str(dot)], capture_output=True, text=True, check=True).stdout


def content(svg: str) -> list[tuple[str, str, tuple[str, ...]]]:
    """What a picture says: (node, edge, cluster or graph; its name; its lines of text). Where it stands is left out, because
    another version of Graphviz places it elsewhere."""
    found = []
    for group in ElementTree.fromstring(svg).iter(SVG + "g"):
        name = " ".join("".join(group.findtext(SVG + "title", "")).split())
        texts = [] if group.get("class") == "graph" else list(group.iter(SVG + "text"))
        found.append((group.get("class", ""), name, tuple(" ".join("".join(text.itertext()).split()) for text in texts)))
    return sorted(found)


def violations(root: Path) -> list[str]:
    """Each picture is drawn from its source as it is now, has an opaque background, and stands on a page."""
    bad = []
    pages = {page: page.read_text() for page in [*root.glob("*.md"), *root.glob("docs/**/*.md")]}
    for dot in sorted((root / FOLDER).glob("*.dot")):
        name = f"{FOLDER}/{dot.stem}.svg"
        svg = root / name
        if not svg.exists():
            bad.append(f"{name} is missing: make pictures")
            continue
        if content(svg.read_text()) != content(drawn(dot)):
            bad.append(f"{name} does not show what {dot.name} says: make pictures")
        if not re.search(r'<polygon fill="(white|#ffffff)"', svg.read_text()):
            bad.append(f"{dot.name} has no background of its own, so it cannot be read in a dark page: bgcolor=white")
        if not any(re.search(rf"!\[[^\]]+\]\((?:[\w./-]*/)?pictures/{re.escape(svg.name)}\)", text) for text in pages.values()):
            bad.append(f"{name} stands on no page")
    for svg in sorted((root / FOLDER).glob("*.svg")):
        if not svg.with_suffix(".dot").exists():
            bad.append(f"{FOLDER}/{svg.name} has no source")
    return bad


def draw(root: Path) -> None:
    for dot in sorted((root / FOLDER).glob("*.dot")):
        dot.with_suffix(".svg").write_text(drawn(dot))
        print(f"{FOLDER}/{dot.stem}.svg")


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
