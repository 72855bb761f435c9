"""`aisle demo`: a sample shop, from nothing to a report."""

from pathlib import Path
from typing import Annotated

import typer

from aisle.cli import console

# A promise is shown on rows kept aside, and so small a shop has few: more of them, for a smaller promise.
SMALL_SHOP = ("guarantee.precision=0.9", "split.threshold=0.25")


def demo(
    out: Annotated[Path, typer.Option(help="Where everything goes.")] = Path("demo"),
    products: Annotated[int, typer.Option(help="How many products the shop has.")] = 2000,
    quiet: console.Quiet = False,
) -> None:
    """Draw a sample shop, train on it, evaluate, classify a file: what is already there is kept."""
    from aisle import workflow
    from aisle.cli.classify import classify
    from aisle.cli.evaluate import summary
    from aisle.cli.summary import tell
    from aisle.data.demo import make_shop
    from aisle.evaluation import Evaluation

    progress = console.progress(quiet)
    shop_folder, run = out / "shop", out / "run"
    if (shop_folder / "truth.json").exists():
        progress.say(f"{shop_folder} is there already (delete {out} to begin anew)")
    else:
        make_shop(shop_folder, products, progress=progress)
    source = shop_folder / "products.csv"
    catalog = workflow.read(source)
    tell(catalog, progress)
    page = run / "report" / "report.html"
    if page.exists():
        progress.say(f"{run} is trained already")
        found = Evaluation.from_json((run / "report" / "report.json").read_text())
    else:
        resume = (run / "recipe.toml").exists()
        model = workflow.train(catalog, "fast", changes=SMALL_SHOP, out=run, resume=resume, progress=progress)
        found = workflow.report(model, catalog, run, progress=progress)[1]
    if found is not None:
        summary(found)
    predictions = out / "predictions.csv"
    classify(run, [shop_folder / "incoming.csv"], str(predictions), quiet=quiet)
    console.places(
        report=page,
        model=run / "model",
        next=f"aisle info {run}; or with a file of yours: aisle check products.csv; aisle train products.csv",
    )
