"""`aisle demo`: trains and evaluates a model on a sample shop."""

from pathlib import Path
from typing import Annotated

import typer

from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.options import Quiet

# A guarantee is tested on rows kept aside, and so small a shop has few: more of them, for a lower precision.
SMALL_SHOP = ("guarantee.precision=0.9", "split.threshold=0.25")


@command("demo", "Write a sample shop; train, evaluate and classify.", section="Start")
def demo(
    out: Annotated[Path, typer.Option(help="Output folder.")] = Path("demo"),
    products: Annotated[int, typer.Option(help="Number of products in the shop.")] = 2000,
    quiet: Quiet = False,
) -> None:
    """Write a sample shop, train a model on it, evaluate it and classify a file.

    Steps whose output exists are skipped.
    """
    from aisle import workflow
    from aisle.cli.classify import classify
    from aisle.cli.evaluate import print_evaluation
    from aisle.cli.summary import print_catalog_summary
    from aisle.data import read
    from aisle.data.demo import make_shop
    from aisle.evaluation import Evaluation

    progress = console.progress(quiet)
    shop_folder, run = out / "shop", out / "run"
    if (shop_folder / "truth.json").exists():
        progress.say(f"{shop_folder} exists (delete {out} to start again)")
    else:
        make_shop(shop_folder, products, progress=progress)
    catalog = read(shop_folder / "products.csv")
    print_catalog_summary(catalog, progress)
    page = run / "report" / "report.html"
    if page.exists():
        progress.say(f"{run} is already trained")
        evaluation = Evaluation.from_json((run / "report" / "report.json").read_text())
    else:
        resume = (run / "recipe.toml").exists()
        model = workflow.train(catalog, "fast", changes=SMALL_SHOP, out=run, resume=resume, progress=progress)
        evaluation = workflow.report(model, catalog, run, progress=progress)[1]
    if evaluation is not None:
        print_evaluation(evaluation)
    predictions = out / "predictions.csv"
    classify(run=run, sources=[shop_folder / "incoming.csv"], out=str(predictions), quiet=quiet)
    console.print_paths(
        report=page,
        model=run / "model",
        next=f"aisle info {run}; or your own file: aisle check products.csv; aisle train products.csv",
    )
