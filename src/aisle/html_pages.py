"""Jinja environments of HTML pages: each page is one file that loads nothing else."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup


@cache
def page_environment(package: str, style_sheet: str) -> Environment:
    """The environment of the templates in a package; text is escaped.

    Args:
        package: name of the package.
        style_sheet: file in the package, `css` in its templates.
    """
    loader = PackageLoader(package, ".")
    environment = Environment(
        loader=loader,
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["css"] = Markup(loader.get_source(environment, style_sheet)[0])
    return environment
