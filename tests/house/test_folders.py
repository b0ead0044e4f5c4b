"""The folders on disk, the packages of pyproject.toml and the folders of the tests are the same ones."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from pipelines.house import FOLDERS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it where Python does not

HOUSE = Path(__file__).resolve().parents[2]
BRANCH = re.compile(r"^(?P<indent>(?:[│ ]   )*)[├└]── (?P<name>\S+)(?:  +(?P<caption>\S.*))?$")
BESIDE_THE_ROOMS = {"benchmarks", "chaos", "docs", "end_to_end", "house"}


def packages_on_disk(house: Path) -> set[str]:
    """Dotted names of the folders of the house that hold Python files."""
    return {
        ".".join(path.relative_to(house).parts[:-1]) for folder in FOLDERS for path in (house / folder).rglob("*.py")
    }


def package_offences(house: Path) -> list[str]:
    """Where pyproject.toml and the disk disagree."""
    settings = tomllib.loads((house / "pyproject.toml").read_text(encoding="utf-8"))
    listed, found = settings["tool"]["setuptools"]["packages"], packages_on_disk(house)
    return [
        *(f"{name}: on disk, but not among the packages of pyproject.toml" for name in sorted(found - set(listed))),
        *(f"{name}: among the packages of pyproject.toml, but no such folder" for name in sorted(set(listed) - found)),
        *(f"{name}: listed twice in pyproject.toml" for name in sorted({n for n in listed if listed.count(n) > 1})),
    ]


def tree_offences(house: Path) -> list[str]:
    """What would make the tests shadow the folders they test, or lose sight of them."""
    tests = house / "tests"
    folders = {path.name for path in tests.iterdir() if path.is_dir() and any(path.rglob("*.py"))}
    return [
        *(f"{path.relative_to(house)}: take it away; it makes tests a package" for path in tests.rglob("__init__.py")),
        *(
            f"tests/{name}: no room of that name; expected one of {sorted({*FOLDERS, *BESIDE_THE_ROOMS})}"
            for name in sorted(folders - {*FOLDERS, *BESIDE_THE_ROOMS})
        ),
        *(
            f"{path.relative_to(house)}: pytest does not collect it; name it test_*.py"
            for path in sorted(tests.glob("*/*.py"))
            if not path.name.startswith("test_") and path.name != "conftest.py" and "def test_" in path.read_text()
        ),
    ]


def tree_of(page: str) -> dict[str, str]:
    """Paths of the tree at the end of a page, folders with a closing slash, and their captions."""
    found, above = dict[str, str](), list[str]()
    for line in page.partition("\n## The tree\n")[2].splitlines():
        if (branch := BRANCH.match(line)) is not None:
            above[len(branch["indent"]) // 4 :] = [branch["name"]]
            found["".join(above)] = branch["caption"] or ""
    return found


def caption_offences(house: Path) -> list[str]:
    """Where the README's tree and the disk disagree: what is not there, what has no caption, folders it lacks."""
    drawn = tree_of((house / "README.md").read_text(encoding="utf-8"))
    folders = {name.replace(".", "/") + "/" for name in packages_on_disk(house)}
    return [
        *(f"README.md, the tree: {path} is drawn, but not there" for path in drawn if not (house / path).exists()),
        *(f"README.md, the tree: {path} is drawn without a caption" for path, caption in drawn.items() if not caption),
        *(f"README.md, the tree: {path} is not drawn; give it a caption" for path in sorted(folders - set(drawn))),
    ]


def plant(house: Path, *files: str, packages: tuple[str, ...] = ()) -> Path:
    for file in files:
        (house / file).parent.mkdir(parents=True, exist_ok=True)
        (house / file).touch()
    (house / "pyproject.toml").write_text(f"[tool.setuptools]\npackages = {list(packages)}\n")
    return house


def test_packages_are_the_folders_on_disk():
    found = package_offences(HOUSE)
    assert not found, "\n".join(found)


def test_tests_mirror_the_rooms():
    found = tree_offences(HOUSE)
    assert not found, "\n".join(found)


def test_the_readme_draws_the_folders_that_are_there():
    found = caption_offences(HOUSE)
    assert not found, "\n".join(found)


def test_a_wrong_tree_is_named(tmp_path):
    plant(tmp_path, "envs/catch.py", "envs/maps/rooms.py")
    (tmp_path / "README.md").write_text(
        "# A\n├── not/   this one\n\n## The tree\n├── README.md   this\n├── envs/\n│   └── gone/   nothing\n"
    )
    assert caption_offences(tmp_path) == [
        "README.md, the tree: envs/gone/ is drawn, but not there",
        "README.md, the tree: envs/ is drawn without a caption",
        "README.md, the tree: envs/maps/ is not drawn; give it a caption",
    ]


def test_a_folder_that_pyproject_forgot_is_named(tmp_path):
    plant(tmp_path, "envs/catch.py", "envs/maps/rooms.py", packages=("envs",))
    assert package_offences(tmp_path) == ["envs.maps: on disk, but not among the packages of pyproject.toml"]


def test_a_package_without_a_folder_is_named(tmp_path):
    plant(tmp_path, "envs/catch.py", packages=("envs", "actors", "envs"))
    assert package_offences(tmp_path) == [
        "actors: among the packages of pyproject.toml, but no such folder",
        "envs: listed twice in pyproject.toml",
    ]


def test_a_package_file_and_an_unknown_folder_under_tests_are_named(tmp_path):
    plant(tmp_path, "tests/envs/__init__.py", "tests/misc/test_x.py", "tests/house/test_y.py")
    (tmp_path / "tests/house/words.py").write_text("def test_lost(): ...\n")
    assert tree_offences(tmp_path) == [
        "tests/envs/__init__.py: take it away; it makes tests a package",
        "tests/misc: no room of that name; expected one of "
        "['actors', 'benchmarks', 'chaos', 'cluster', 'docs', 'end_to_end', "
        "'envs', 'house', 'learners', 'pipelines', 'rewards']",
        "tests/house/words.py: pytest does not collect it; name it test_*.py",
    ]
