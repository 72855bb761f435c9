"""What each action does to predictions, and which of several rules acts."""

from datetime import date

import pytest
from tests.rules.shop import model, rules

LAMP = 'action = "force"\ncategory = "Home > Lamps"\n'


def predict(text, products="red running shoe"):
    return model().with_rules(rules(text)).predict(products)


def test_force_decides_and_says_so():
    own = model().predict("red running shoe")
    found = predict(f'[[rule]]\nid = "lamp"\n{LAMP}when.title.contains = "shoe"\nreason = "sold as one"')
    assert (found.decision, found.path, found.best) == ("accept", ("Home", "Lamps"), ("Home", "Lamps"))
    assert (found.rule, found.reason, found.threshold) == ("lamp", "rule lamp: sold as one", None)
    lamp = next(c for path, c in own.alternatives if path == ("Home", "Lamps"))
    assert found.confidence[-1] == pytest.approx(lamp)  # the model's own, not a made-up 1
    assert found.alternatives[0] == (("Home", "Lamps"), pytest.approx(lamp))
    assert sorted(path for path, _ in found.alternatives) == sorted(path for path, _ in own.alternatives)


def test_force_to_a_branch_decides_that_branch():
    found = predict(
        '[[rule]]\nid = "home"\naction = "force"\ncategory = "Home"\nwhen.title = "red running shoe"'
    )
    assert (found.decision, found.path) == ("partial", ("Home",))
    assert found.best[0] == "Home"


def test_deny_removes_a_branch_and_the_others_share_its_confidence():
    own = model().predict("red running shoe")
    found = predict('[[rule]]\nid = "no"\naction = "deny"\ncategory = "Clothing > Shoes"')
    before, after = dict(own.alternatives), dict(found.alternatives)
    assert own.best == ("Clothing", "Shoes")
    assert after[("Clothing", "Shoes")] == 0
    left = 1 - before[("Clothing", "Shoes")]
    for path in before.keys() - {("Clothing", "Shoes")}:
        assert after[path] == pytest.approx(before[path] / left, rel=1e-4)
    assert found.decision == "review"  # more than half of the confidence is gone
    assert found.rule == "no"


def test_restrict_keeps_a_branch():
    own = model().predict("red running shoe")
    found = predict('[[rule]]\nid = "only"\naction = "restrict"\ncategory = "Clothing"')
    total = sum(c for path, c in own.alternatives if path[0] == "Clothing")
    assert found.best == ("Clothing", "Shoes")
    assert found.confidence[0] == pytest.approx(1)
    assert found.confidence[1] == pytest.approx(own.confidence[1] / total, rel=1e-4)
    assert found.rule == "only"


def test_deny_and_restrict_with_the_same_effect_give_the_same_numbers():
    deny = predict('[[rule]]\nid = "a"\naction = "deny"\ncategory = ["Home"]')
    only = predict(
        '[[rule]]\nid = "a"\naction = "restrict"\ncategory = ["Clothing > Shoes", "Clothing > Socks"]'
    )
    assert deny == only


def test_review_is_never_automatic():
    found = predict('[[rule]]\nid = "look"\naction = "review"\nwhen.title.contains = "shoe"')
    assert (found.decision, found.path, found.rule) == ("review", (), "look")
    assert found.best == model().predict("red running shoe").best


def test_review_of_a_branch_looks_at_the_predicted_category():
    text = '[[rule]]\nid = "look"\naction = "review"\ncategory = "Clothing"'
    assert [one.rule for one in predict(text, ["red running shoe", "oak table"])] == ["look", ""]


def test_the_higher_priority_acts_first_then_the_order_in_the_file():
    shoe = 'when.title.contains = "shoe"\n'
    sock = 'action = "force"\ncategory = "Clothing > Socks"\n'
    text = f'[[rule]]\nid = "a"\n{LAMP}{shoe}[[rule]]\nid = "b"\n{sock}{shoe}'
    assert predict(text).rule == "a"
    assert predict(text + "priority = 1").rule == "b"


def test_a_force_that_an_earlier_rule_contradicts_does_not_act():
    shoe = 'when.title.contains = "shoe"\n'
    denied = f'[[rule]]\nid = "no"\naction = "deny"\ncategory = "Home"\npriority = 2\n{shoe}'
    found = predict(f'{denied}[[rule]]\nid = "lamp"\n{LAMP}{shoe}')
    assert (found.rule, found.best[0]) == ("no", "Clothing")
    reviewed = f'[[rule]]\nid = "look"\naction = "review"\npriority = 2\n{shoe}'
    assert predict(f'{reviewed}[[rule]]\nid = "lamp"\n{LAMP}{shoe}').decision == "review"


def test_a_deny_that_would_leave_nothing_does_not_act():
    text = '[[rule]]\nid = "a"\naction = "restrict"\ncategory = "Home"\n'
    found = predict(text + '[[rule]]\nid = "b"\naction = "deny"\ncategory = "Home"')
    assert (found.rule, found.best[0]) == ("a", "Home")


def test_a_rule_acts_up_to_its_last_day():
    found = rules(f'[[rule]]\nid = "lamp"\n{LAMP}when.title.contains = "shoe"\nexpires = 2027-01-31')
    for day, acts in ((date(2027, 1, 31), True), (date(2027, 2, 1), False)):
        assert (model().with_rules(found.at(day)).predict("a shoe").rule == "lamp") is acts


def test_conditions_on_the_models_own_prediction():
    own = model().predict("red running shoe")
    sure = own.confidence[-1]
    for condition, acts in (
        (f"confidence.max = {sure + 0.01}", True),
        (f"confidence.max = {sure - 0.01}", False),
        (f'decision = "{own.decision}"', True),
        (f"decision = {[d for d in ('accept', 'partial', 'review') if d != own.decision]}", False),
        ('predicted = "Clothing"', True),
        ('predicted = ["Home > Lamps", "Home"]', False),
    ):
        assert (predict(f'[[rule]]\nid = "lamp"\n{LAMP}{condition}').rule == "lamp") is acts


def test_a_prediction_does_not_depend_on_its_batch():
    text = '[[rule]]\nid = "no"\naction = "deny"\ncategory = "Clothing > Shoes"\nwhen.title.contains = "shoe"'
    titles = ["red running shoe", "oak table", "blue leather shoe", "desk lamp"]
    ruled = model().with_rules(rules(text))
    together = ruled.predict([{"id": "x", "title": title} for title in titles])
    alone = [ruled.predict([{"id": "x", "title": title}, {"title": "sock"}])[0] for title in titles]
    assert list(together) == alone


def test_rules_do_not_change_other_products():
    text = f'[[rule]]\nid = "lamp"\n{LAMP}when.title.contains = "sofa"'
    titles = ["red running shoe", "oak table"]
    assert predict(text, titles) == model().predict(titles)
