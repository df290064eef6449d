"""The dashboards as files that Grafana is provisioned with."""

from collections.abc import Mapping
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.grafana import business, flow, order, reliability, runtime

FOLDER = Path(__file__).parent / "dashboards"


def files() -> Mapping[Path, str]:
    """Every dashboard's file and its content."""
    made = [module.dashboard().build() for module in (business, flow, order, reliability, runtime)]
    for each in made:
        for number, panel in enumerate(each.panels or [], 1):
            panel.id = number
    return {FOLDER / f"{each.uid}.json": JSONEncoder(sort_keys=True, indent=2).encode(each) + "\n" for each in made}


def write() -> list[str]:
    """Bring the committed files up to date; the names of those that changed."""
    changed = {path: text for path, text in files().items() if not path.exists() or path.read_text() != text}
    for path, text in changed.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return [path.name for path in changed]
