"""How the dashboard looks, as options of its server; `.streamlit/config.toml` says the same for a checkout."""

from __future__ import annotations

# Light and dark; which one, the viewer's system says. Text and links have a contrast of 4.5 to one at least on their ground (WCAG AA).
THEME = {
    "theme.font": "'Noto Sans CJK SC', 'Microsoft YaHei', 'PingFang SC', sans-serif",
    "theme.light.primaryColor": "#1f5f99", "theme.light.backgroundColor": "#ffffff", "theme.light.secondaryBackgroundColor": "#f1f5f9",
    "theme.light.textColor": "#0b141d", "theme.light.linkColor": "#1f5f99",
    "theme.dark.primaryColor": "#6fb1ec", "theme.dark.backgroundColor": "#12181f", "theme.dark.secondaryBackgroundColor": "#1d2731",
    "theme.dark.textColor": "#e8eef4", "theme.dark.linkColor": "#8cc4f5",
}  # fmt: skip


def options() -> list[str]:
    """The theme as arguments of `streamlit run`."""
    return [part for name, value in THEME.items() for part in (f"--{name}", value)]
