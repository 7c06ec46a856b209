"""A student's linear model against scikit-learn's logistic regression on the same n-grams."""

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from lilliput.batching import TokenIds
from lilliput.data.dataset import Dataset
from lilliput.distill import convex
from lilliput.distill.lesson import Lesson, predict_logits
from lilliput.distill.linear import Linear, fit_linear, student_rows, twin_loss
from lilliput.distill.losses import DistillationMix
from lilliput.distill.student import Student
from lilliput.encoder import EncoderConfig
from lilliput.errors import UserError
from lilliput.grams import Grams
from lilliput.search.space import Architecture

LABELS = DistillationMix(soft=0.0, hard=1.0, hidden=0.0)
NOTHING = Architecture(0, 0, 1, 0, 40)


def lesson_of(count=80, classes=2, teacher=False, seed=0):
    """Functions of random tokens; half of the labels are random, the others say whether token 7 occurs."""
    random = np.random.default_rng(seed)
    ids = [random.integers(4, 40, random.integers(3, 30)) for _ in range(count)]
    labels = np.array([7 in held for held in ids], np.int64)
    labels[: count // 2] = random.integers(0, classes, count // 2)
    data = Dataset(tuple(map(str, range(count))), np.arange(count)[:, None], labels, tuple("abcdef"[:classes]))
    logits = random.normal(size=(count, classes)).astype(np.float32) if teacher else None
    return Lesson(data, TokenIds(ids, 1, 512), logits)


def student_of(linear, classes=2, **options):
    grams = linear.grams(classes)
    return Student(EncoderConfig(NOTHING, classes, positions=0, linear=grams, **options), seed=0)


def matrix(student, lesson):
    rows = student_rows(student, lesson)
    counts = np.array([len(held) for held in rows])
    places = np.concatenate([[0], np.cumsum(counts)])
    values = np.repeat(counts**-0.5, counts)
    return sparse.csr_matrix((values, np.concatenate(rows), places), (len(rows), student.config.linear.rows))


@pytest.fixture(autouse=True)
def train_to_convergence(monkeypatch):
    monkeypatch.setattr(convex, "ENOUGH", 1e-12)


@pytest.mark.parametrize("classes", [2, 3])
def test_labels_alone_give_logistic_regression(classes):
    linear, lesson = Linear(order=2, bits=8, l2=0.5, twins=0), lesson_of(classes=classes)
    student = student_of(linear, classes)
    fit_linear(student, lesson, LABELS, linear)
    reference = LogisticRegression(C=2.0, tol=1e-10, max_iter=5000).fit(matrix(student, lesson), lesson.dataset.labels)
    found = predict_logits(student, lesson.dataset, lesson.tokens)
    expected = reference.decision_function(matrix(student, lesson))
    if classes == 2:
        np.testing.assert_allclose(found[:, 1] - found[:, 0], expected, atol=1e-3)
    else:
        np.testing.assert_allclose(found - found.mean(1, keepdims=True), expected, atol=1e-3)


def test_teacher_counts_as_labels_of_fractional_weight():
    """Cross-entropy with a mix of labels and probabilities equals cross-entropy with the mixed target."""
    linear, lesson = Linear(order=1, bits=8, l2=0.5, twins=0), lesson_of(teacher=True)
    student = student_of(linear)
    fit_linear(student, lesson, DistillationMix(temperature=1.0, soft=0.7, hard=0.3, hidden=0.0), linear)
    given = torch.softmax(torch.from_numpy(lesson.logits), -1)[:, 1].numpy()
    target = 0.7 * given + 0.3 * lesson.dataset.labels
    twice, held = np.repeat([1, 0], len(target)), matrix(student, lesson)
    reference = LogisticRegression(C=2.0, tol=1e-10, max_iter=5000)
    reference.fit(sparse.vstack([held, held]), twice, sample_weight=np.concatenate([target, 1 - target]))
    found = predict_logits(student, lesson.dataset, lesson.tokens)
    np.testing.assert_allclose(found[:, 1] - found[:, 0], reference.decision_function(held), atol=1e-3)


def test_twins_add_rows_of_their_differences():
    linear, lesson = Linear(order=1, bits=8, l2=0.5, twins=0.2), lesson_of()
    student = student_of(linear)
    fit_linear(student, lesson, LABELS, linear)
    labels, held = lesson.dataset.labels, matrix(student, lesson).toarray()
    sets = [set(rows) for rows in student_rows(student, lesson)]
    pairs = [
        (a, b)
        for a in np.flatnonzero(labels == 1)
        for b in np.flatnonzero(labels == 0)
        if 5 * len(sets[a] & sets[b]) >= len(sets[a] | sets[b])
    ]
    assert len(pairs) > 10
    weight, bias = torch.zeros(256, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    for value in (weight, bias):
        value.requires_grad_()
    inputs, target = torch.from_numpy(held), torch.from_numpy(labels).double()
    first, second = (torch.from_numpy(held[[pair[side] for pair in pairs]]) for side in (0, 1))

    def loss():
        logistic = torch.nn.functional.binary_cross_entropy_with_logits(inputs @ weight + bias, target, reduction="sum")
        return logistic + torch.nn.functional.softplus((second - first) @ weight).sum() + 0.25 * weight.square().sum()

    convex.minimize([weight, bias], loss)
    np.testing.assert_allclose(student.weight("linear.weight")[:, 0].numpy(), weight.detach().numpy(), atol=1e-3)


def test_twin_loss_is_the_probability_that_each_has_its_own_label():
    logits, labels = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 2, 1, 2])
    found = twin_loss(logits, labels, np.array([[0, 1], [2, 3]]))
    odds = torch.log_softmax(logits, -1)
    for loss, (a, b) in zip(found, [(0, 1), (2, 3)], strict=True):
        right = odds[a, labels[a]] + odds[b, labels[b]]
        wrong = odds[a, labels[b]] + odds[b, labels[a]]
        assert float(loss) == pytest.approx(-float(torch.log_softmax(torch.stack([right, wrong]), 0)[0]), abs=1e-6)


def test_network_and_linear_model_have_equal_weight():
    linear, lesson = Linear(order=2, bits=8, l2=0.5, twins=0), lesson_of()
    alone = student_of(linear)
    fit_linear(alone, lesson, LABELS, linear)
    size, beside = Architecture(1, 16, 1, 16, 40), {"positions": 16, "grams": Grams(1, 6, 4)}
    network = Student(EncoderConfig(size, **beside), seed=3)
    both = Student(EncoderConfig(size, **beside, linear=linear.grams(2)), seed=3)
    same = [predict_logits(student, lesson.dataset, lesson.tokens) for student in (network, both)]
    np.testing.assert_array_equal(*same)  # before training, the linear model contributes nothing
    fit_linear(both, lesson, LABELS, linear)
    parts = [predict_logits(student, lesson.dataset, lesson.tokens) for student in (alone, network)]
    found = predict_logits(both, lesson.dataset, lesson.tokens)
    np.testing.assert_allclose(found, (parts[0] + parts[1]) / 2, atol=1e-4)


def test_training_the_network_leaves_the_linear_model_unchanged():
    student = Student(EncoderConfig(Architecture(1, 16, 1, 16, 40), linear=Grams(1, 6, 1, "root")))
    trained = {name for name, value in student.named_parameters() if value.requires_grad}
    assert len(trained) == len(student.config.shapes()) - 2
    assert not any("linear" in name for name in trained)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("order", "its parts are not each a name, '=' and a value"),
        ("order=2,order=3", "it names something twice"),
        ("width=3", "there is no 'width', only order, bits, l2, twins"),
        ("bits=99", "'bits' of the n-grams must be 4 to 22, not 99"),
        ("l2=0", "'l2' must be above 0, not 0.0"),
        ("l2=nan", "'l2' must be above 0, not nan"),
        ("twins=2", "'twins' must be 0.1 to 1, or 0 for none, not 2.0"),
        ("bits=x", "invalid literal"),
    ],
)
def test_rejects_invalid_linear_models(text, message):
    with pytest.raises(UserError, match=message) as caught:
        Linear.parsed(text)
    assert caught.value.where == "--linear"
    assert Linear.parsed("bits=9,twins=0") == Linear(2, 9, 0.1, 0.0)
