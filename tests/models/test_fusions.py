"""Every fusion's formula, recomputed with plain loops from its own weights."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from aisle.errors import RecipeError
from aisle.models import fusions
from aisle.models.config import ModelSpec
from aisle.models.encoders.pooling import masked_mean
from aisle.models.registry import Encoded, build_part
from tests.models.build import DIMS, MODALITIES, spelled


def made(name, **options):
    """A fusion with random weights, in eval mode."""
    torch.manual_seed(3)
    fusion = build_part(getattr(fusions, name), "fusion", options, dims=DIMS, modalities=MODALITIES)
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.4)
    return fusion.eval()


def encoded(rows=3):
    return {
        name: Encoded(masked_mean(a["tokens"], a["mask"]), a["tokens"], a["mask"], a["mask"].any(1))
        for name, a in spelled(rows).items()
    }


# -- plain arithmetic, one product at a time ---------------------------------------------------


def array(tensor):
    return tensor.detach().double().numpy()


def norm(x, layer):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + layer.eps)
    return x * array(layer.weight) + array(layer.bias)


def linear(x, layer):
    return x @ array(layer.weight).T + array(layer.bias)


def gelu(x):
    return np.vectorize(lambda v: v * 0.5 * (1 + math.erf(v / math.sqrt(2))))(x)


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def project(x, layer):
    return linear(norm(x, layer.layers[0]), layer.layers[2])


def attend(layer, queries, keys, heads):
    """Scaled dot products, a head and a query at a time (Vaswani et al., arXiv 1706.03762, equation 1)."""
    dim = queries.shape[1]
    weight, bias = array(layer.in_proj_weight), array(layer.in_proj_bias)
    q, k, v = (
        x @ weight[i * dim : (i + 1) * dim].T + bias[i * dim : (i + 1) * dim]
        for i, x in enumerate([queries, keys, keys])
    )
    out, width = np.zeros_like(q), dim // heads
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        for i in range(len(q)):
            share = softmax(np.array([q[i, part] @ k[j, part] / math.sqrt(width) for j in range(len(k))]))
            out[i, part] = sum(share[j] * v[j, part] for j in range(len(k)))
    return linear(out, layer.out_proj)


def block(layer, x, other, heads):
    x = x + attend(layer.attend, norm(x, layer.norm_query), norm(other, layer.norm_key), heads)
    feed = layer.feed
    return x + linear(gelu(linear(norm(x, feed[0]), feed[1])), feed[4])


def side(layer, views, row):
    """The real tokens of a side's views, one after the other."""
    rows = []
    for i, name in enumerate(layer.names):
        tokens = array(views[name].tokens[row])[views[name].mask[row].numpy()]
        standard, map_ = layer.project[name]
        rows.append(linear(norm(tokens, standard), map_) + array(layer.kind[i]))
    return np.concatenate(rows)


def check(fusion, views, expected):
    found = fusion(views).product
    for row in range(len(found)):
        np.testing.assert_allclose(array(found[row]), expected(row), rtol=1e-4, atol=1e-5)


# -- one a fusion ------------------------------------------------------------------------------


def pooled(views, row):
    return {name: array(view.pooled[row]) for name, view in views.items()}


def test_average():
    fusion, views = made("AverageFusion", dim=8), encoded()
    share = softmax(array(fusion.weight))
    check(
        fusion,
        views,
        lambda row: sum(
            share[i] * project(x, fusion.project[name])
            for i, (name, x) in enumerate(pooled(views, row).items())
        ),
    )


def test_gated():
    fusion, views = made("GatedFusion", dim=4), encoded()

    def expected(row):
        each = [project(x, fusion.project[name]) for name, x in pooled(views, row).items()]
        gate = linear(np.concatenate(each), fusion.gate).reshape(3, 4)
        return [
            sum(softmax(gate[:, d])[v] * each[v][d] for v in range(3)) for d in range(4)
        ]  # each feature shares itself out among the views

    check(fusion, views, expected)


def test_concat():
    fusion, views = made("ConcatFusion", dim=4), encoded()

    def expected(row):
        each = [project(x, fusion.project[name]) for name, x in pooled(views, row).items()]
        return linear(gelu(np.concatenate(each)), fusion.join[2])

    check(fusion, views, expected)


def test_linear():
    fusion, views = made("LinearFusion", dim=4), encoded()
    check(
        fusion,
        views,
        lambda row: sum(linear(x, fusion.project[name]) for name, x in pooled(views, row).items()),
    )


@pytest.mark.parametrize("first", ["addition", "average", "concatenation"])
@pytest.mark.parametrize("second", ["addition", "average", "concatenation"])
def test_multilevel(first, second):
    fusion = made("MultilevelFusion", dim=4, groups=[["title", "brand"]], first=first, second=second)
    views = encoded()

    def combine(layer, how, vectors):
        if how == "concatenation":
            return linear(np.concatenate(vectors), layer.join)
        return sum(vectors) / (len(vectors) if how == "average" else 1)

    def expected(row):
        x = {name: project(v, fusion.project[name]) for name, v in pooled(views, row).items()}
        text = gelu(combine(fusion.one[0], first, [x["title"], x["brand"]]))
        return combine(fusion.two, second, [text, gelu(x["picture"])])

    check(fusion, views, expected)


def test_multilevel_without_groups_is_the_one_level_baseline():
    fusion, views = made("MultilevelFusion", dim=4, second="average"), encoded()
    check(
        fusion,
        views,
        lambda row: sum(gelu(project(x, fusion.project[n])) for n, x in pooled(views, row).items()) / 3,
    )


def test_huse():
    fusion, views = made("HuseFusion", dim=6, text_layers=2, image_layers=5), encoded()
    share = softmax(array(fusion.weight))

    def unit(x):
        return x / math.sqrt(sum(v * v for v in x))

    def tower(x, layers):
        standard, *rest = layers
        x = norm(x, standard)
        for layer in rest:
            if isinstance(layer, torch.nn.Linear):
                x = linear(x, layer)
            elif isinstance(layer, torch.nn.ReLU):
                x = np.maximum(x, 0)
        return unit(x)

    def expected(row):
        each = [tower(x, fusion.tower[name]) for name, x in pooled(views, row).items()]
        return unit(sum(w * x for w, x in zip(share, each, strict=True)))

    check(fusion, views, expected)
    dense = {
        name: sum(isinstance(layer, torch.nn.Linear) for layer in tower)
        for name, tower in fusion.tower.items()
    }
    assert dense == {"title": 2, "picture": 5, "brand": 2}
    for name, vector in fusion(views).views.items():
        torch.testing.assert_close(vector.norm(dim=1), torch.ones(3))
        torch.testing.assert_close(vector, F.normalize(fusion.tower[name](views[name].pooled), dim=1))


def test_cross_attention():
    fusion, views = made("CrossAttentionFusion", dim=8, layers=2, heads=2), encoded()
    assert (fusion.text_side.names, fusion.image_side.names) == (["title", "brand"], ["picture"])

    def expected(row):
        text, picture = side(fusion.text_side, views, row), side(fusion.image_side, views, row)
        one, two, both = text, picture, np.concatenate([text, picture])
        for layer in fusion.by_text:
            one = block(layer, one, both, 2)
        for layer in fusion.by_image:
            two = block(layer, two, both, 2)
        beside = [
            norm(one.mean(0), fusion.norm_text),
            norm(two.mean(0), fusion.norm_image),
            norm(text.mean(0), fusion.vector),
        ]
        return linear(np.concatenate(beside), fusion.join)

    check(fusion, views, expected)


def test_attention():
    fusion, views = made("AttentionFusion", dim=8, layers=2, heads=2), encoded()

    def expected(row):
        text, picture = side(fusion.text_side, views, row), side(fusion.image_side, views, row)
        text, picture = block(fusion.by_text, text, picture, 2), block(fusion.by_image, picture, text, 2)
        both = np.concatenate([text, picture])
        for layer in fusion.together:
            both = block(layer, both, both, 2)
        means = [both[: len(text)].mean(0), both[len(text) :].mean(0)]
        return linear(norm(np.concatenate(means), fusion.norm), fusion.join)

    check(fusion, views, expected)


# -- choices -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["CrossAttentionFusion", "AttentionFusion"])
def test_sides_follow_modalities_names_or_the_last_view(name):
    cls = getattr(fusions, name)
    assert cls(DIMS, dim=4, modalities=MODALITIES).image_side.names == ["picture"]
    assert cls(DIMS, dim=4, image=["title", "brand"]).image_side.names == ["title", "brand"]
    assert cls(DIMS, dim=4).image_side.names == ["brand"]
    with pytest.raises(RecipeError, match="no view 'pictures' for the image side"):
        build_part(cls, "fusion", {"image": ["pictures"]}, dims=DIMS)


@pytest.mark.parametrize("name", fusions.__all__)
@pytest.mark.parametrize("view", ["title", "picture"])
def test_one_view_alone_is_enough(name, view):
    """Text-only and image-only beside the fused recipe: leave a view out, keep the rest of the recipe."""
    options = {"groups": [["title", "brand"]]} if name == "MultilevelFusion" else {}
    fusion = build_part(
        getattr(fusions, name), "fusion", {}, dims={view: DIMS[view]}, modalities={view: MODALITIES[view]}
    )
    spec = ModelSpec(
        views={n: {"encoder": {"type": "VectorEncoder"}} for n in DIMS},
        fusion={"type": name, **options},
        head={"type": "TreeHead"},
    )
    left = spec.without(set(DIMS) - {view}).fusion.options
    build_part(getattr(fusions, name), "fusion", left, dims={view: DIMS[view]})
    found = fusion({view: encoded()[view]}).product
    assert found.shape == (3, fusion.dim)
    assert torch.isfinite(found).all()


def test_options_that_cannot_be_used_are_one_line():
    with pytest.raises(RecipeError, match=r"groups: 'titel' is no view; the views are title, picture, brand"):
        build_part(fusions.MultilevelFusion, "fusion", {"groups": [["titel"]]}, dims=DIMS)
    with pytest.raises(RecipeError, match="'brand' stands in two places"):
        build_part(fusions.MultilevelFusion, "fusion", {"groups": [["title", "brand"], ["brand"]]}, dims=DIMS)
    with pytest.raises(RecipeError, match="'mean' is none of addition, average, concatenation"):
        build_part(fusions.MultilevelFusion, "fusion", {"second": "mean"}, dims=DIMS)
    with pytest.raises(RecipeError, match="at least one layer"):
        build_part(fusions.HuseFusion, "fusion", {"image_layers": 0}, dims=DIMS)
    with pytest.raises(RecipeError, match="first: 'sum' is none of"):  # even where no group uses it
        build_part(fusions.MultilevelFusion, "fusion", {"first": "sum"}, dims=DIMS)
    for name, depth in (("AttentionFusion", "layers"), ("CrossAttentionFusion", "layers")):
        with pytest.raises(RecipeError, match="a width of 256 cannot be shared by 7 heads"):
            build_part(getattr(fusions, name), "fusion", {"heads": 7}, dims=DIMS)
        with pytest.raises(RecipeError, match="at least one"):
            build_part(getattr(fusions, name), "fusion", {depth: 0}, dims=DIMS)


def test_bilinear_multiplies_the_features_of_each_two_views():
    fusion, views = made("BilinearFusion", dim=4, rank=6), encoded()
    joint = fusion(views).product
    linear = sum(fusion.linear[name](view.pooled) for name, view in views.items())
    factors = {name: torch.tanh(fusion.factors[name](view.pooled)) for name, view in views.items()}
    names = list(views)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    assert fusion.pairs == pairs
    products = sum(join(factors[a] * factors[b]) for join, (a, b) in zip(fusion.join, pairs, strict=True))
    torch.testing.assert_close(joint, linear + products)


def test_multilevel_with_a_hidden_layer():
    fusion, views = made("MultilevelFusion", dim=4, hidden=7), encoded()
    plain = made("MultilevelFusion", dim=4)
    plain.load_state_dict(fusion.state_dict(), strict=False)
    widths = [layer.weight.shape for layer in fusion.after if isinstance(layer, torch.nn.Linear)]
    assert widths == [(7, 4), (4, 7)]
    torch.testing.assert_close(fusion(views).product, fusion.after(plain(views).product))
