"""What a dashboard is made of: a panel says what it shows, in which unit, from when on it is bad, and where to go on from it."""

from collections.abc import Mapping, Sequence
from string import ascii_uppercase

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, text, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    GraphTresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import DashboardLink, DashboardLinkType, DataSourceRef, Threshold, ThresholdsMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

PROMETHEUS = DataSourceRef(type_val="prometheus", uid="prometheus")
TEMPO = DataSourceRef(type_val="tempo", uid="tempo")
LOKI = DataSourceRef(type_val="loki", uid="loki")

Steps = Sequence[tuple[float | None, str]]
"""From which value on which colour; the first is for all below."""

NEUTRAL: Steps = ((None, "blue"),)
NONE_IS_GOOD: Steps = ((None, "green"), (1, "red"))


def bad_from(bad: float, warning: float | None = None) -> Steps:
    """Green, yellow, red."""
    return ((None, "green"), *(((warning, "yellow"),) if warning is not None else ()), (bad, "red"))


def good_from(good: float, warning: float) -> Steps:
    """Red, yellow, green."""
    return ((None, "red"), (warning, "yellow"), (good, "green"))


def page(uid: str, title: str, about: str, since: str = "now-1h") -> dashboard.Dashboard:
    """An empty dashboard, with links to the others."""
    others = dashboard.DashboardLink("Orderbus").type(DashboardLinkType.DASHBOARDS).tags(["orderbus"])
    return (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(about)
        .tags(["orderbus"])
        .time(since, "now")
        .timezone("browser")
        .refresh("30s")
        .readonly()
        .link(others.as_dropdown(False).keep_time(True).include_vars(False))
    )


def row(title: str) -> dashboard.Row:
    """A heading."""
    return dashboard.Row(title)


def number(
    title: str,
    query: str,
    unit: str,
    about: str,
    steps: Steps = NEUTRAL,
    *,
    width: int = 4,
    legend: str = "",
    height: int = 4,
    links: Mapping[str, str] | None = None,
    decimals: float | None = None,
) -> stat.Panel:
    """One figure, or one for each series, over a line of how it was."""
    panel = (
        stat.Panel()
        .title(title)
        .description(about)
        .datasource(PROMETHEUS)
        .unit(unit)
        .thresholds(_thresholds(steps))
        .color_mode(BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.AREA)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .links(_links(links))
        .with_target(_query(query, legend))
        .span(width)
        .height(height)
    )
    return panel if decimals is None else panel.decimals(decimals)


def lines(
    title: str,
    queries: Mapping[str, str],
    unit: str,
    about: str,
    steps: Steps = NEUTRAL,
    *,
    width: int = 8,
    height: int = 8,
    stacked: bool = False,
    exemplars: bool = False,
    links: Mapping[str, str] | None = None,
) -> timeseries.Panel:
    """Series over time; `queries` by their legend. Thresholds are drawn where there are any."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(about)
        .datasource(PROMETHEUS)
        .unit(unit)
        .min(0)
        .thresholds(_thresholds(steps))
        .fill_opacity(30 if stacked else 8)
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
        .legend(
            common.VizLegendOptions().show_legend(True).display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
        )
        .links(_links(links))
        .span(width)
        .height(height)
    )
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    if len(steps) > 1:
        panel = panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphTresholdsStyleMode.LINE))
    return panel.targets(_queries(queries, exemplars=exemplars))


def bars(
    title: str,
    queries: Mapping[str, str],
    unit: str,
    about: str,
    steps: Steps = NEUTRAL,
    *,
    width: int = 8,
    height: int = 8,
) -> bargauge.Panel:
    """One bar for each series as it stands now, in the sequence of the queries; `queries` by their legend."""
    return (
        bargauge.Panel()
        .title(title)
        .description(about)
        .datasource(PROMETHEUS)
        .unit(unit)
        .min(0)
        .orientation(VizOrientation.HORIZONTAL)
        .thresholds(_thresholds(steps))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .targets(_queries(queries))
        .span(width)
        .height(height)
    )


def words(title: str, markdown: str, *, width: int = 24, height: int = 4) -> text.Panel:
    """Text for a person."""
    return text.Panel().title(title).content(markdown).span(width).height(height)


def quantile(q: float, histogram: str, by: str = "", matching: str = "") -> str:
    """PromQL of a quantile over the rate interval."""
    labels = ", ".join(filter(None, (by, "le")))
    return f"histogram_quantile({q}, sum by ({labels}) (rate({histogram}_bucket{{{matching}}}[$__rate_interval])))"


def _queries(queries: Mapping[str, str], *, exemplars: bool = False) -> list[Builder[Dataquery]]:
    return [
        _query(query, legend, ref, exemplars=exemplars)
        for ref, (legend, query) in zip(ascii_uppercase, queries.items(), strict=False)
    ]


def _query(expr: str, legend: str, ref: str = "A", *, exemplars: bool = False) -> prometheus.Dataquery:
    query = prometheus.Dataquery().ref_id(ref).expr(expr).range().format(PromQueryFormat.TIME_SERIES)
    query = query.legend_format(legend) if legend else query
    return query.exemplar(True) if exemplars else query


def _thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    return (
        dashboard.ThresholdsConfig()
        .mode(ThresholdsMode.ABSOLUTE)
        .steps([Threshold(value=value, color=colour) for value, colour in steps])
    )


def _links(links: Mapping[str, str] | None) -> list[Builder[DashboardLink]]:
    return [
        dashboard.DashboardLink(title).type(DashboardLinkType.LINK).url(url).target_blank(url.startswith("http"))
        for title, url in (links or {}).items()
    ]
