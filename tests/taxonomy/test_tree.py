import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisle.errors import TaxonomyError
from aisle.taxonomy import Node, Scores, Targets, Taxonomy

PATHS = [("A", "x"), ("A", "y", "1"), ("A", "y", "2"), ("A",), ("B",), ("C", "z")]
names = st.sampled_from("abcd")
trees = st.lists(st.lists(names, min_size=1, max_size=4).map(tuple), min_size=1, max_size=30)


def scores(taxonomy, rows=3, seed=0):
    x = np.random.default_rng(seed).normal(0, 3, (rows, len(taxonomy.terminals)))
    return Scores(taxonomy, x - np.logaddexp.reduce(x, axis=1, keepdims=True))


def test_terminals_are_leaves_and_assignable_interior_nodes_in_depth_first_order():
    tree = Taxonomy.from_paths(PATHS)
    assert [tree.nodes[i].path for i in tree.terminals] == [
        ("A",), ("A", "x"), ("A", "y", "1"), ("A", "y", "2"), ("B",), ("C", "z"),
    ]  # fmt: skip
    assert tree.span[tree.index(("A",))].tolist() == [0, 4]
    assert tree.span[tree.index(("A", "y"))].tolist() == [2, 4]
    assert tree.terminal_of[tree.index(("C",))] == -1
    assert tree.lineage(tree.index(("A", "y", "2"))) == (0, 2, 4)


@given(trees)
def test_every_span_holds_exactly_the_terminals_below(paths):
    tree = Taxonomy.from_paths(paths)
    for i, node in enumerate(tree.nodes):
        below = [k for k, t in enumerate(tree.terminals) if tree.nodes[t].path[: len(node.path)] == node.path]
        assert list(range(*tree.span[i])) == below


@given(trees)
def test_a_tree_read_back_equals_the_tree_written(paths):
    tree = Taxonomy.from_paths(paths)
    again = Taxonomy.from_json(tree.to_json())
    assert again == tree
    assert again.nodes == tree.nodes


def test_ids_find_nodes_and_a_wrong_label_is_told_its_neighbor():
    tree = Taxonomy([Node("7", ("Clothing", "Shoes")), Node("1", ("Clothing",), False)], aliases={"8": "7"})
    assert tree.index("7") == tree.index("8") == tree.index(("Clothing", "Shoes")) == 1
    with pytest.raises(TaxonomyError, match="Did you mean 'Clothing > Shoes'"):
        tree.index(("Clothing", "Shoe"))


@pytest.mark.parametrize(
    ("nodes", "what"),
    [
        ([], "empty"),
        ([Node("1", ("a", " "))], "empty name"),
        ([Node("1", ("a",)), Node("2", ("a",))], "given twice"),
        ([Node("1", ("a",)), Node("1", ("b",))], "two categories"),
    ],
)
def test_a_malformed_tree_is_refused(nodes, what):
    with pytest.raises(TaxonomyError, match=what):
        Taxonomy(nodes)


@given(trees, st.integers(0, 5))
def test_a_node_is_as_probable_as_the_terminals_under_it(paths, seed):
    tree = Taxonomy.from_paths(paths)
    s = scores(tree, seed=seed)
    p = np.exp(s.all())
    for depth in range(1, tree.depth + 1):
        level = np.exp(s.level(depth))
        assert np.allclose(level.sum(1), 1)
        for column, node in enumerate(tree.level(depth)):
            start, stop = tree.span[node]
            assert np.allclose(level[:, column], p[:, start:stop].sum(1))


def test_scores_stay_exact_where_a_branch_is_very_unlikely():
    tree = Taxonomy.from_paths([("A", "x"), ("A", "y"), ("B",)])
    s = Scores(tree, np.array([[-800.0, -801.0, 0.0]]))
    assert np.allclose(s.level(1)[0, 0], np.logaddexp(-800, -801))


def test_likelihood_is_the_terminals_when_exact_and_the_branchs_when_not():
    tree = Taxonomy.from_paths(PATHS)
    s = scores(tree, 2)
    a = tree.index(("A",))
    nll = s.nll(Targets(np.array([a, a]), np.array([True, False])))
    assert np.allclose(nll, [-s.all()[0, 0], -np.log(np.exp(s.all()[1, :4]).sum())])
    with pytest.raises(ValueError, match="cannot end"):
        s.nll(Targets(np.array([tree.index(("C",))] * 2), np.array([True, True])))


def test_topk_is_ordered_and_bounded_by_the_tree():
    tree = Taxonomy.from_paths(PATHS)
    s = scores(tree)
    top = s.topk(99)
    assert top.node.shape == (3, 6)
    assert (np.diff(top.logp, axis=1) <= 0).all()
    assert (top.node[:, 0] == s.best()).all()
    ties = Scores(tree, np.array([[-np.inf, -1.0, -1.0, -np.inf, -1.0, -np.inf]]))
    assert tree.terminal_of[ties.topk(5).node].tolist() == [[1, 2, 4, 0, 3]]
