"""What the site has beside the pages of docs/: the front page, the reference from docstrings, the gallery of results.

The pages are written for whoever reads them in the repository. Links that leave docs/ are turned here: to the page of
the site where there is one, to plain text where there is none.
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

HOUSE = Path(__file__).resolve().parents[2]
ROOMS = ("pipelines", "rewards", "actors", "learners", "envs", "cluster")
FRONT = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]\n]*)\]\((?P<target>[^)\s#]*)(?P<anchor>#[^)\s]*)?\)")
FENCE = re.compile(r"^( *)(```+).*?^ *\2`*$", re.M | re.S)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made."""
    made = {page: turned((HOUSE / source).read_text(encoding="utf-8"), HOUSE) for source, page in FRONT.items()}
    made["gallery.md"] = gallery()
    made.update(reference())
    for page, text in made.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turn the links of a page of docs/ that lead out of it."""
    source = page.file.src_uri
    if source in FRONT.values() or source.startswith("reference/") or source == "gallery.md":
        return markdown
    return turned(markdown, (HOUSE / "docs" / source).parent)


def turned(text: str, folder: Path) -> str:
    """Markdown of a page in `folder` with its links as the site needs them; what stands in fences is left alone."""
    here = folder.relative_to(HOUSE / "docs").parts if folder.is_relative_to(HOUSE / "docs") else ()
    up = "../" * len(here)

    def turn(link: re.Match[str]) -> str:
        target, anchor = link["target"], link["anchor"] or ""
        if not target or ":" in target or not (folder / target).exists():
            return link[0]
        aim = (folder / target).resolve().relative_to(HOUSE)
        if str(aim) in FRONT:
            return f"{link['image']}[{link['text']}]({up}{FRONT[str(aim)]}{anchor})"
        if aim.parts[0] == "docs":
            inside = "/".join(aim.parts[1:])
            if (HOUSE / aim).is_dir() or (aim.suffix == ".json" and "methods" in aim.parts):
                return f"{link['text']}"
            return f"{link['image']}[{link['text']}]({up}{inside}{anchor})"
        return f"`{aim}`" if link["text"].strip("`") in str(aim) else f"{link['text']} (`{aim}`)"

    parts, end = [], 0
    for fence in FENCE.finditer(text):
        parts += [LINK.sub(turn, text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, LINK.sub(turn, text[end:])])


def reference() -> dict[str, str]:
    """A page for each folder of the house, with its modules from their docstrings, and one that lists the folders."""
    pages, index = dict[str, str](), ["# Reference", "", "Made from the docstrings, a page for each folder.", ""]
    for room in ROOMS:
        for folder in sorted({path.parent for path in (HOUSE / room).rglob("*.py")}):
            modules = sorted(folder.glob("*.py"))
            name = ".".join(folder.relative_to(HOUSE).parts)
            head = [f"# {name}", "", "| module | what |", "|---|---|"]
            body = []
            for module in modules:
                dotted = f"{name}.{module.stem}"
                head.append(f"| [{module.stem}](#{dotted}) | {first_line(module)} |")
                body += ["", f"::: {dotted}"]
            pages[f"reference/{name}.md"] = "\n".join([*head, *body, ""])
            index.append(f"- [{name}]({name}.md): {len(modules)} modules")
    pages["reference/index.md"] = "\n".join([*index, ""])
    return pages


def first_line(module: Path) -> str:
    """The first line of a module's docstring, fit for a table."""
    lines = (ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or "").splitlines()
    return lines[0].replace("|", "\\|").replace("<", "&lt;") if lines else ""


def gallery() -> str:
    """Results with pictures, the command that repeats them, and whether the claim came true; reports of runs."""
    parts = ["# Gallery of results", "", "Each claim is measured, and kept also where it did not come true.", ""]
    for file in sorted((HOUSE / "docs/results").glob("*.json")):
        result = json.loads(file.read_text(encoding="utf-8"))
        verdict = "It holds." if result["holds"] else "It does not hold."
        parts += [f"## {result['name']}", "", f"{result['claim']} **{verdict}**", ""]
        if file.with_suffix(".png").exists():
            parts += [f"![{result['name']}](results/{file.stem}.png)", ""]
        parts += [
            f"    {result['command']}",
            "",
            f"The figures and the table behind them: [data](results/{file.name}).",
            "",
        ]
    pictures = json.loads((HOUSE / "docs/pictures/pictures.json").read_text(encoding="utf-8"))
    parts += ["## Reports of runs", "", "Taken by a browser, of runs that the command below each repeats.", ""]
    for name, said in pictures.items():
        parts += [f"![{said['shows']}](pictures/{name}.png)", "", f"{said['shows']} {said['run']}", ""]
        parts += [f"    {said['command']}", ""]
    return "\n".join(parts)
