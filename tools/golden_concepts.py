"""Golden values for `neuroinspect-concepts`, in crates/neuroinspect-concepts/tests/golden/concepts.json.

- svm: what scikit-learn's `SVC(kernel="linear")` makes of formula-made samples: normal, intercept, and the
  margins, for three values of C;
- cce: the concept weights of the published algorithm (Abid et al. 2022), descended by PyTorch's SGD and
  automatic differentiation, for both kappa rules, without bounds, and with the softmax taken twice;
- tcav: the share of samples whose cross-entropy falls along a direction, by automatic differentiation;
- welch: p-values of `scipy.stats.ttest_ind(equal_var=False)`;
- labels: the five similarities of CLIP-Dissect (Oikarinen and Weng 2023) for every unit and word. Rank
  reorder is scaled by the mean over all orders, which the published program estimates from five.

Inputs are made by `formula`, which neuroinspect-testing has too.

Run: python tools/golden_concepts.py (needs torch, scikit-learn, scipy)
"""

import json
import pathlib

import numpy as np
import scipy
import sklearn
import torch
from golden_classifiers import formula
from scipy import stats
from sklearn.svm import SVC

OUT = (
    pathlib.Path(__file__).parent.parent
    / "crates/neuroinspect-concepts/tests/golden/concepts.json"
)

SIDE, NEURONS = 20, 6
SAMPLES, CLASSES, CONCEPTS, LABEL = 7, 4, 5, 2
IMAGES, UNITS, WORDS, WIDTH = 40, 4, 9, 6


def made(name, *shape):
    return torch.tensor(formula(name, shape), dtype=torch.float32)


def svm():
    samples = made("svm samples", 2 * SIDE, NEURONS)
    samples[:SIDE, 0] += 0.4
    samples[:SIDE, 3] += 0.3
    samples = samples.double().numpy()
    labels = np.arange(2 * SIDE) < SIDE
    cases = []
    for regularization in [0.02, 1.0, 100.0]:
        machine = SVC(kernel="linear", C=regularization, tol=1e-10).fit(samples, labels)
        normal = machine.coef_[0]
        margins = (samples @ normal + machine.intercept_[0]) / np.linalg.norm(normal)
        positive, negative = margins[margins > 0], margins[margins < 0]
        cases.append(
            {
                "regularization": regularization,
                "vector": normal.tolist(),
                "intercept": machine.intercept_[0],
                "train_accuracy": machine.score(samples, labels),
                "margins": {
                    "max": margins.max(),
                    "min": margins.min(),
                    "pos_mean": positive.mean() if len(positive) else None,
                    "neg_mean": negative.mean() if len(negative) else None,
                    "q_90": np.quantile(margins, 0.9),
                    "q_10": np.quantile(margins, 0.1),
                },
            }
        )
    return cases


def cce_inputs():
    bank = {
        "vectors": made("cce vectors", CONCEPTS, NEURONS) - 0.5,
        "intercepts": made("cce intercepts", CONCEPTS) - 0.5,
        "max": 1 + made("cce max", CONCEPTS),
        "min": -1 - made("cce min", CONCEPTS),
        "pos_mean": made("cce pos_mean", CONCEPTS),
        "neg_mean": -made("cce neg_mean", CONCEPTS),
    }
    # As concepts of the published bank: no sample was on the positive side.
    bank["max"][CONCEPTS - 1] = -0.5
    bank["pos_mean"][CONCEPTS - 1] = float("nan")
    layer = torch.nn.Linear(NEURONS, CLASSES)
    layer.weight.data = 6 * made("cce weight", CLASSES, NEURONS) - 3
    layer.bias.data = made("cce bias", CLASSES) - 0.5
    # Some stay with another class whatever concepts are added.
    return bank, layer, 4 * made("cce features", SAMPLES, NEURONS)


def concept_weights(bank, layer, features, kappa, twice, alpha=0.1, beta=0.01):
    """`features` is one sample, `[1, D]`."""
    norms = bank["vectors"].norm(dim=1)
    # A weight of 1 moves the features by the concept's largest margin along its normal.
    moves = bank["max"][:, None] * bank["vectors"] / norms[:, None]
    signed = features @ bank["vectors"].T + bank["intercepts"]
    highest = (bank["max"] * norms - signed) / (bank["max"] * norms)
    lowest = (bank["min"] * norms - signed) / (bank["max"] * norms)
    distance = signed / norms
    if kappa:
        above = bank["pos_mean"] if kappa == "mean" else torch.zeros(CONCEPTS)
        below = bank["neg_mean"] if kappa == "mean" else torch.zeros(CONCEPTS)
        highest[distance > above] = 0
        lowest[distance < below] = 0
    weights = torch.zeros(1, CONCEPTS, requires_grad=True)
    descent = torch.optim.SGD([weights], lr=0.01, momentum=0.9)

    def logits():
        logits = layer(features + weights @ moves)
        return logits.softmax(-1) if twice else logits

    for _ in range(100):
        descent.zero_grad()
        loss = torch.nn.functional.cross_entropy(logits(), torch.tensor([LABEL]))
        loss = loss + alpha * weights.norm(p=1) / CONCEPTS + beta * weights.norm(p=2) / CONCEPTS
        loss.backward()
        descent.step()
        if kappa:
            with torch.no_grad():
                weights.clamp_(min=lowest.clamp(max=0), max=highest.clamp(min=0))
    return weights.detach()[0].tolist(), bool(logits().argmax() == LABEL)


def cce():
    bank, layer, features = cce_inputs()
    cases = {}
    for name, kappa, twice in [
        ("kappa_mean", "mean", False),
        ("kappa_zero", "zero", False),
        ("unbounded", None, False),
        ("original", "mean", True),
    ]:
        rows = [concept_weights(bank, layer, row[None], kappa, twice) for row in features]
        weights, flipped = zip(*rows)
        cases[name] = {"weights": weights, "flipped": flipped}
    return cases


def tcav():
    _, layer, features = cce_inputs()
    direction = made("slope", NEURONS) - 0.5
    features = features.requires_grad_()
    labels = torch.full([SAMPLES], LABEL)
    loss = torch.nn.functional.cross_entropy(layer(features), labels, reduction="sum")
    loss.backward()
    return (features.grad @ direction < 0).double().mean().item()


def welch():
    pairs = [
        ([0.9, 0.95, 1.0, 0.9], [0.5, 0.4, 0.6, 0.55, 0.45]),
        ([0.5, 0.6, 0.4], [0.45, 0.65, 0.5]),
        ([1.0, 1.0, 1.0], [0.5, 0.7, 0.9]),
        ([0.99, 0.98, 1.0, 0.99, 1.0], [0.01, 0.0, 0.02, 0.01, 0.0]),
    ]
    return [
        {"a": a, "b": b, "p_value": stats.ttest_ind(a, b, equal_var=False).pvalue}
        for a, b in pairs
    ]


def information(seen, activations, top, a, lam, probabilities):
    """WPMI, or with probabilities soft-WPMI: `[D, V]`."""
    shares = (a * seen).softmax(dim=1)
    strongest = activations.topk(top, dim=0).indices.T
    of_unit = 1 + probabilities[:, None] * (shares[strongest] - 1)
    likely = (of_unit + 1e-7).log().sum(dim=1)
    common = likely.logsumexp(dim=0) - np.log(len(likely))
    return likely - lam * common


def rank_reorder(seen, activations, top, p=3, scale_p=0.5):
    scores = torch.empty(UNITS, WORDS, dtype=seen.dtype)
    for unit in range(UNITS):
        values, images = activations[:, unit].topk(top)
        baseline = ((values[:, None] - values[None]).abs() ** p).mean()
        for word in range(WORDS):
            column = seen[images, word]
            place = column.argsort().argsort()
            moved = values.flip(0)[place]
            error = ((values - moved).abs() ** p).mean() / baseline
            scores[unit, word] = -error / column.mean() ** scale_p
    return scores


def labels():
    activations = made("label activations", IMAGES, UNITS).double()
    images = made("label images", IMAGES, WIDTH).double()
    texts = made("label texts", WORDS, WIDTH).double()
    images, texts = (it / it.norm(dim=1, keepdim=True) for it in (images, texts))
    seen = images @ texts.T

    def cosine(a, b):
        norms = a.norm(dim=0)[:, None].clamp(min=1e-3) * b.norm(dim=0)[None].clamp(min=1e-3)
        return a.T @ b / norms

    def cubed(values):
        return (values - values.mean(dim=0)) ** 3

    place = torch.arange(12) / 12
    falling = 0.998 - place * (0.998 - 0.97)
    scores = {
        "cos_similarity": cosine(activations, seen),
        "cos_similarity_cubed": cosine(cubed(activations), cubed(seen)),
        "rank_reorder": rank_reorder(seen, activations, int(IMAGES * 0.25)),
        "wpmi": information(seen, activations, 8, 2, 0.6, torch.ones(8)),
        "soft_wpmi": information(seen, activations, 12, 10, 1, falling.double()),
    }
    return {name: values.tolist() for name, values in scores.items()}


def main():
    values = {
        "versions": {
            "torch": torch.__version__,
            "scikit-learn": sklearn.__version__,
            "scipy": scipy.__version__,
        },
        "svm": svm(),
        "cce": cce(),
        "tcav": tcav(),
        "welch": welch(),
        "labels": labels(),
    }
    OUT.write_text(json.dumps(values) + "\n")


if __name__ == "__main__":
    main()
