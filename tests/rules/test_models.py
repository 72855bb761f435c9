"""Rules of combined models: the same in each, and after saving."""

from tests.rules.shop import model, rules

import aisle
from aisle.inference.cascade import Cascade
from aisle.inference.ensemble import Ensemble

RULES = '[[rule]]\nid = "lamp"\naction = "force"\ncategory = "Home > Lamps"\nwhen.title.contains = "sock"'


def test_ensembles_and_cascades_follow_rules(tmp_path):
    own = model()
    combined = {
        "ensemble": Ensemble.of([own, own], ["a", "b"]),
        "cascade": Cascade((own, own), (-0.1,), policy=own.policy),
    }
    for name, made in combined.items():
        made.with_rules(rules(RULES)).save(tmp_path / name)
        found = aisle.load(tmp_path / name).predict(["wool sock", "oak table"])
        assert [one.rule for one in found] == ["lamp", ""], name
        assert (found[0].path, found[0].decision) == (("Home", "Lamps"), "accept"), name
