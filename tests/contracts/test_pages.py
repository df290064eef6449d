"""Pages keep their word: what they link to is there, and the commands they tell a reader to type exist."""

import re
import shlex
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from prometheus_client import REGISTRY
from typer.testing import CliRunner

from deploy.cli.__main__ import command_line
from deploy.contracts.document import DOCS, metrics_page

CHECKOUT = DOCS.parent
PAGES = sorted(
    [*CHECKOUT.glob("*.md"), *(page for room in ("deploy", "docs", "tests") for page in (CHECKOUT / room).rglob("*.md"))]
)
GENERATED = {DOCS / "cli.md"}
"""Shows how each command is called, with words such as COMMAND that stand for others."""

each_page = pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(CHECKOUT)) for page in PAGES])


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    missing = [link for link in links(page) if "://" not in link and not leads_somewhere(link, page)]

    assert not missing


def test_every_decision_is_in_their_list() -> None:
    folder = DOCS / "decisions"

    assert {page.name for page in folder.glob("0*.md")} <= set(links(folder / "README.md"))


@each_page
def test_every_command_exists_with_its_options(page: Path) -> None:
    unknown = [] if page in GENERATED else [command for command in commands(page) if not is_known(command)]

    assert not unknown


@each_page
def test_our_programs_are_run_by_the_checkouts_own_python(page: Path) -> None:
    """Any other has none of the packages."""
    code = [token.content for token in tokens(page) if token.type == "fence"]
    code += [child.content for token in tokens(page) for child in token.children or () if child.type == "code_inline"]

    assert not [line for each in code for line in each.splitlines() if re.match(r"([A-Z_]+=\S* |ORDERBUS_… )*python3? ", line)]


@each_page
def test_every_change_that_is_shown_can_be_made(page: Path) -> None:
    for change in (token.content for token in tokens(page) if token.type == "fence" and token.info == "diff"):
        subprocess.run(["git", "apply", "--check"], cwd=CHECKOUT, input=change.encode(), check=True)


def test_every_file_of_shared_is_in_the_architecture() -> None:
    page = (CHECKOUT / "ARCHITECTURE.md").read_text()
    names = {file.stem for file in (CHECKOUT / "shared").iterdir() if not file.name.startswith("__")}

    assert {name for name in names if f"`{name}`" not in page and f"`{name}/`" not in page} == set()


def test_every_metric_is_on_its_page() -> None:
    counted = {family.name for family in REGISTRY.collect() if family.name.startswith("orderbus_")}

    assert {name for name in counted if name not in metrics_page()} == set()


def leads_somewhere(link: str, page: Path) -> bool:
    """To a file or folder of the checkout, and where a heading is named, to one that is there."""
    path, _, anchor = link.partition("#")
    target = (page.parent / unquote(path)).resolve() if path else page
    return target.is_relative_to(CHECKOUT) and target.exists() and (not anchor or anchor in anchors(target))


def links(page: Path) -> list[str]:
    """Of links and pictures alike."""
    inline = (child for token in tokens(page) for child in token.children or ())
    return [str(to) for token in inline if (to := token.attrGet("href") or token.attrGet("src"))]


@cache
def anchors(page: Path) -> set[str]:
    """What GitHub calls its headings."""
    found: Counter[str] = Counter()
    names = set()
    for before, token in zip(tokens(page), tokens(page)[1:], strict=False):
        if before.type == "heading_open":
            text = "".join(child.content for child in token.children or ())
            name = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            names.add(f"{name}-{found[name]}" if found[name] else name)
            found[name] += 1
    return names


def commands(page: Path) -> Iterator[str]:
    """What is typed: lines of code that begin so, or after a $, and inline code."""
    for token in tokens(page):
        if token.type == "fence":
            lines = token.content.replace("\\\n", " ").splitlines()
            yield from (found[1] for line in lines if (found := re.search(r"^\$? ?(?:\w+=\$\()?\./orderbus (.+)", line)))
        for child in token.children or ():
            if child.type == "code_inline" and child.content.startswith("./orderbus "):
                yield child.content.removeprefix("./orderbus ")


def is_known(command: str) -> bool:
    """Whether the command line would take it. It is asked for help instead, which it gives only on options it knows."""
    words = shlex.split(re.split(r" [|>&;]|…", command)[0].rstrip(")"), comments=True)
    first_option = next((at for at, word in enumerate(words) if word.startswith("-")), len(words))
    return CliRunner().invoke(command_line(), [*words[:first_option], "--help", *words[first_option:]]).exit_code == 0


@cache
def tokens(page: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text())
