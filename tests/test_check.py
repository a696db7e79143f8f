"""mytensor.check: it passes on the framework's ops, and raises on what is wrong."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from framework_ops import FUNCTIONS

import mytensor as mt
import mytensor.nn.functional as F
from mytensor import check, training
from mytensor.check import cases, references


@pytest.mark.parametrize("name", check.names())
def test_ops_of_the_framework(name):
    report = check.examine(name, FUNCTIONS[name])
    special = {mutant.name for mutant in cases.FAMILIES[name].mutants}
    assert special <= set(report.mutants), "a bug of this op's own was never planted"


@pytest.mark.parametrize(
    ("op", "kernel"), [(op, row["name"]) for op in mt.ops_with_kernels() if op in FUNCTIONS for row in mt.kernels(op)]
)
def test_every_kernel(op, kernel):
    mt.use_kernel(op, kernel)
    try:
        if (op, kernel) == ("cross_entropy", "naive"):  # there to show what goes wrong with large logits
            with pytest.raises(check.CheckFailed):
                check.examine(op, FUNCTIONS[op])
        else:
            check.examine(op, FUNCTIONS[op])
    finally:
        mt.use_kernel(op, None)


@pytest.mark.parametrize("name", ["conv2d", "max_pool2d", "avg_pool2d", "cross_entropy", "linear"])
def test_the_bounds_fit_torch_in_float32_too(name):
    check.examine(name, getattr(torch.nn.functional, name), convert=torch.tensor)


def test_the_line_is_the_same_each_time(capsys):
    check("conv2d", F.conv2d)
    check.op("conv2d", F.conv2d)
    first, second = capsys.readouterr().out.splitlines()
    assert first == second
    assert first.startswith(
        "✓ conv2d: output, input gradient, weight gradient, bias gradient agree with float64 on 20 cases"
    )
    assert "planted bugs rejected" in first


def test_a_failure_names_the_element_and_repeats_by_its_seed():
    def wrong(x):
        return mt.maximum(x, mt.full(x.shape, 1e-3, dtype=x.dtype))

    with pytest.raises(check.CheckFailed) as failure:
        check("relu", wrong)
    message = str(failure.value)
    for part in ("relu(input float32 (3, 5, 7)): output", "got", "wanted", "error", "allowed", "seed="):
        assert part in message
    seed = int(message.rpartition("seed=")[2].rstrip(")"))
    with pytest.raises(check.CheckFailed) as again:
        check("relu", wrong, seed=seed)
    assert str(again.value) == message


def test_a_wrong_gradient_is_seen():
    class WrongReLU(mt.Function):
        @staticmethod
        def forward(context, x):
            return mt.relu(mt.Tensor(x)).array

        @staticmethod
        def backward(context, upstream):
            return upstream

    with pytest.raises(check.CheckFailed, match="input gradient"):
        check("relu", WrongReLU.apply)


def test_a_function_without_backward_is_judged_by_its_output():
    def columns(x, kernel_size, dilation=1, padding=0, stride=1):
        return F.unfold(mt.tensor(x), kernel_size, dilation, padding, stride).numpy()

    assert check.examine("unfold", columns, convert=np.asarray).compared == ["output"]


def test_errors_of_the_function_name_the_case():
    def broken(x):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as failure:
        check("relu", broken)
    assert "while checking relu(input float32 (3, 5, 7)) (seed=" in failure.value.__notes__[0]


def test_wrong_shapes_dtypes_and_missing_gradients_fail():
    with pytest.raises(check.CheckFailed, match="shape"):
        check("relu", lambda x: mt.relu(x).reshape(-1))
    with pytest.raises(check.CheckFailed, match="dtype"):
        check("relu", lambda x: mt.relu(x.float()))
    with pytest.raises(check.CheckFailed, match="no gradient"):
        check("add", lambda a, b: a + b.detach())
    with pytest.raises(check.CheckFailed, match="a tuple of 2, wanted one array"):
        check("relu", lambda x: (mt.relu(x), x))


def test_a_wrong_training_step_is_seen():
    def not_cleared(model, optimizer, images, labels):
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()

    def too_early(model, optimizer, images, labels):
        optimizer.zero_grad()
        optimizer.step()
        F.cross_entropy(model(images), labels).backward()

    def an_image_forgotten(model, optimizer, images, labels):
        training.train_step(model, optimizer, images[:-1], labels[:-1])

    def one_filter_a_little_off(model, optimizer, images, labels):
        training.train_step(model, optimizer, images, labels)
        model.conv2.weight.grad.detach().numpy()[3] *= 1.001

    for wrong in (not_cleared, too_early, an_image_forgotten, one_filter_a_little_off):
        with pytest.raises(check.CheckFailed, match="of=conv"):
            check.examine("training_step", wrong)

    def nothing_to_learn_from(model, optimizer, images, labels):
        training.train_step(model, optimizer, images, labels)
        optimizer.zero_grad()

    with pytest.raises(check.CheckFailed, match=r"conv1\.weight got no gradient"):
        check.examine("training_step", nothing_to_learn_from)


def test_a_wrong_evaluation_is_seen():
    def one_more(model, dataset):
        loss, accuracy = training.evaluate(model, dataset)
        return loss, accuracy + 1 / len(dataset)

    def left_evaluating(model, dataset):
        result = training.evaluate(model, dataset)
        model.eval()
        return result

    for wrong, message in ((one_more, "evaluate"), (left_evaluating, "left in evaluation mode")):
        with pytest.raises(check.CheckFailed, match=message):
            check.examine("evaluate", wrong)


def test_checks_leave_the_random_numbers_alone():
    mt.manual_seed(5)
    torch.manual_seed(5)
    before, torch_before = mt.random.get_state(), torch.random.get_rng_state()
    check.examine("training_step", training.train_step)
    assert mt.random.get_state() == before
    assert torch.equal(torch.random.get_rng_state(), torch_before)


def test_unknown_names():
    with pytest.raises(ValueError, match="there is no check named 'conv3d'"):
        check("conv3d", F.conv2d)


def test_memory_mode_is_put_back():
    before = mt.memory_mode()
    with pytest.raises(check.CheckFailed):
        check("neg", lambda x: x)
    assert mt.memory_mode() == before


def test_a_blind_check_is_reported(monkeypatch):
    def bounds_that_judge_nothing(dtype, reduction_length, magnitude):
        return np.full(np.shape(magnitude), 1e30)

    monkeypatch.setattr("mytensor.check.operation.rounding_bound", bounds_that_judge_nothing)
    with pytest.raises(check.CheckFailed, match="this check is blind: it passes with the planted bug"):
        check("conv2d", F.conv2d)


# ---------------------------------------------------------------------------------------------------------------------
# call, changed and gradcheck
# ---------------------------------------------------------------------------------------------------------------------

A, B = np.random.default_rng(1).normal(size=(5, 7)), np.random.default_rng(2).normal(size=(7, 3))


def product(a, b):
    c = np.zeros((len(a), b.shape[1]))
    for i, j, p in np.ndindex(*c.shape, len(b)):
        c[i, j] += a[i, p] * b[p, j]
    return c


def check_product(function=product, **changed):
    within = {"want": A @ B, "reduction_length": 7, "magnitude": abs(A) @ abs(B)}
    check.call(function, A, B, **(within | changed))


def test_a_call_is_compared_and_replayed(capsys):
    calls = []

    def counted(a, b):
        calls.append((a is A, b is B))
        return product(a, b)

    check_product(counted, mutants={"a negated": lambda a, b: -product(a, b)})
    # Once as it is, then three kinds of damage in each of the arguments.
    assert calls == [(True, True)] + [(False, True)] * 3 + [(True, False)] * 3
    assert capsys.readouterr().out == (
        "✓ counted: every element agrees, |error| <= 2·K·eps·(|a| op |b|); 12 planted bugs rejected, "
        "among them: a negated\n"
    )
    check.call(lambda x: (x.to("simt") + x.to("simt")).cpu(), mt.tensor(A), want=mt.tensor(A + A), name="there")
    check.call(lambda n: n * n, 3, want=9, name="square", mutants={"n + n": lambda n: n + n})
    assert capsys.readouterr().out == (
        "✓ there: every element agrees, exactly; 8 planted bugs rejected\n"
        "✓ square: every element agrees, exactly; 2 planted bugs rejected, among them: n + n\n"
    )


def test_a_wrong_call_fails():
    with pytest.raises(check.CheckFailed, match="15 of 15 elements are wrong"):
        check_product(lambda a, b: 2 * product(a, b))
    with pytest.raises(check.CheckFailed, match="shape"):
        check_product(lambda a, b: product(a, b)[:-1])
    with pytest.raises(check.CheckFailed, match="twice: the results are"):
        check_product(lambda a, b: {"c": product(a, b)}, name="twice")
    with pytest.raises(check.CheckFailed, match="1 of 7 elements"):  # -0.0
        check.call(np.negative, np.arange(7.0), want=-np.arange(7.0) + 0.0)


def test_a_call_whose_bound_is_too_wide_is_refused():
    with pytest.raises(
        check.CheckFailed, match="blind: it passes with the planted bug 'the last element never written"
    ):
        check_product(bound=100, reduction_length=None, magnitude=None)
    # Coarse damage to the result is noticed, finer damage to what goes in is not.
    with pytest.raises(check.CheckFailed, match="blind: it passes with the planted bug 'argument 0 without its last"):
        check.call(np.mean, np.linspace(1, 9, 1000), want=5, bound=0.1, dtype=np.float64)


def test_a_mutant_that_passes_is_named():
    with pytest.raises(check.CheckFailed, match="product: this check is blind: it passes with the planted bug 'none'"):
        check_product(mutants={"none": product})


def test_a_call_that_cannot_be_replayed_wrongly_is_refused():
    """A comparison of what is finished, under the cloak of a call: damage to its result alone proves little."""
    with pytest.raises(check.CheckFailed, match="nothing shows that this check can fail"):
        check.call(lambda: A @ B, want=A @ B, bound=1e-12)
    with pytest.raises(check.CheckFailed, match="nothing shows that this check can fail"):
        check.call(lambda a: A @ B, A, want=A @ B, bound=1e-12)  # the argument has no influence
    with pytest.raises(check.CheckFailed, match="nothing shows that this check can fail"):
        check.call(np.abs, np.zeros((0, 3)), want=np.zeros((0, 3)))  # there is nothing to be wrong


def test_calls_with_several_results(capsys):
    def both(arrays):
        return {"sum": arrays["a"] + arrays["b"], "product": arrays["a"] * arrays["b"]}

    arrays = {"a": A, "b": A + 1}
    want = {"sum": A + A + 1, "product": A * (A + 1)}
    lengths, magnitudes = {"sum": 2, "product": 1}, {"sum": 2 * abs(A) + 1, "product": abs(want["product"])}
    check.call(both, arrays, want=want, reduction_length=lengths, magnitude=magnitudes)
    assert "8 planted bugs rejected" in capsys.readouterr().out
    with pytest.raises(check.CheckFailed, match="both: product: 1 of 35 elements are wrong"):
        wrong = want["product"].copy()
        wrong[3, 4] += 1
        check.call(both, arrays, want=want | {"product": wrong}, reduction_length=2, magnitude=100)


def test_results_that_later_calls_overwrite():
    out = np.zeros(7)

    def into_one_array(x):
        return np.negative(x, out=out)

    x = np.arange(1.0, 8)
    check.call(into_one_array, x, want=-x)


def test_a_changed_text_is_a_mutant(capsys):
    mutants = {"`=` for `+=`": ("+=", "="), "the last term dropped": ("len(b)", "len(b) - 1")}
    check_product(mutants=mutants)
    assert "13 planted bugs rejected, among them: `=` for `+=`, the last term dropped" in capsys.readouterr().out
    assert np.array_equal(check.changed(product, "+=", "=")(A, B), A[:, -1:] * B[-1:])
    with pytest.raises(ValueError, match="product does not contain '-='"):
        check_product(mutants={"not there": ("-=", "+=")})
    inner = A

    def within_another(a):
        return a + inner

    for function in (lambda a: a, within_another, abs):
        with pytest.raises(ValueError, match="wanted a function of its own, not a lambda"):
            check.changed(function, "a", "b")(1)
    # Of a function that was wrong already, that is said, not that the mutant does not fit it any more.
    with pytest.raises(check.CheckFailed, match="elements are wrong"):
        check_product(lambda a, b: product(a, b) + 1, mutants={"not there": ("-=", "+=")})


def test_gradcheck_rejects_wrong_gradients(capsys, monkeypatch):
    a, b = (mt.tensor(array, requires_grad=True) for array in (A, B))
    check.gradcheck(lambda a, b: a @ b, a, b, name="matmul")
    assert capsys.readouterr().out == (
        "✓ matmul: every derivative agrees with finite differences, for 2 inputs; 4 planted bugs rejected\n"
    )
    with pytest.raises(AssertionError, match="by backward and"):
        check.gradcheck(lambda a: a * a.detach(), a)
    monkeypatch.setattr("mytensor.gradcheck", lambda function, inputs: True)
    with pytest.raises(check.CheckFailed, match="blind: it passes with the gradient of input 0 doubled"):
        check.gradcheck(lambda a: a * a, a)


# ---------------------------------------------------------------------------------------------------------------------
# close and equal
# ---------------------------------------------------------------------------------------------------------------------


def test_close_takes_any_kind_of_array():
    values = np.array([1.0, 2.5], np.float32)
    for convert in (mt.tensor, torch.tensor, np.asarray, lambda array: mt.tensor(array).array):
        check.close(convert(values), values, bound=0)
        check.close(values, convert(values), reduction_length=1)
    check.close(mt.tensor(values, requires_grad=True), torch.tensor(values, requires_grad=True), bound=0)


def test_close_is_elementwise():
    want = np.zeros((3, 4), np.float32)
    got = want.copy()
    got[1, 2], got[2, 3] = 0.5, -0.5  # the sums agree
    with pytest.raises(
        check.CheckFailed, match=r"sums: 2 of 12 elements are wrong; the first is \[1, 2\]: got .*0.5.*seed=7"
    ):
        check.close(got, want, bound=0.1, name="sums", seed=7)
    check.close(got, want, bound=0.5)
    bounds = np.full((3, 4), 0.5)
    bounds[2, 3] = 0.4
    with pytest.raises(check.CheckFailed, match="1 of 12"):
        check.close(got, want, bound=bounds)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_fails(value):
    good, bad = np.ones(3, np.float32), np.array([1, value, 1], np.float32)
    for got, want in ((bad, good), (good, bad), (bad, bad)):
        with pytest.raises(check.CheckFailed):
            check.close(got, want, bound=1e30)
    check.close(bad, bad.copy(), bound=0, allow_nonfinite=True)
    for got, want in (
        (bad, good),
        (good, bad),
        (bad, np.array([1, -7 * value, 1], np.float32) if np.isinf(value) else good),
    ):
        with pytest.raises(check.CheckFailed):
            check.close(got, want, bound=1e30, allow_nonfinite=True)


def test_close_wants_one_shape_and_dtype():
    with pytest.raises(check.CheckFailed, match="shape"):
        check.close(np.ones((3, 1)), np.ones(3), bound=0)
    with pytest.raises(check.CheckFailed, match="dtype"):
        check.close(np.ones(3, np.float32), np.ones(3), bound=0)
    check.close(np.ones(3, np.float32), np.ones(3), bound=0, dtype=np.float32)


def test_questions_that_make_no_sense():
    ones = np.ones(3)
    with pytest.raises(ValueError, match="either"):
        check.close(ones, ones)
    with pytest.raises(ValueError, match="magnitude"):
        check.close(ones, ones, reduction_length=5)
    for bound in (np.nan, np.inf, -1):
        with pytest.raises(ValueError, match="cannot judge"):
            check.close(ones, ones, bound=bound)
    with pytest.raises(TypeError, match=r"check\.equal"):
        check.close(np.ones(3, np.int64), np.ones(3, np.int64), bound=0)


def test_the_bound_is_that_of_the_docstring():
    eps = np.finfo(np.float32).eps
    want = np.array([100.0])
    allowed = 2 * 27 * eps * 5
    check.close(
        np.array([100 + 0.9 * allowed]).astype(np.float32), want, reduction_length=27, magnitude=5, dtype=np.float32
    )
    with pytest.raises(check.CheckFailed):
        check.close(
            np.array([100 + 1.2 * allowed]).astype(np.float32), want, reduction_length=27, magnitude=5, dtype=np.float32
        )


def test_equal_compares_bits():
    check.equal(np.array([np.nan, 1]), np.array([np.nan, 1]))
    check.equal(mt.tensor([1, 2]), torch.tensor([1, 2]))
    check.equal(np.float32(3), np.float32(3))
    with pytest.raises(check.CheckFailed):
        check.equal(np.array([0.0]), np.array([-0.0]))
    with pytest.raises(check.CheckFailed, match=r"2 of 3 elements are wrong; the first is \[1\]: got .*2.*wanted .*5"):
        check.equal(np.array([1, 2, 3]), np.array([1, 5, 4]))
    with pytest.raises(check.CheckFailed, match="dtype"):
        check.equal(np.ones(3, np.int64), np.ones(3, np.int32))


def test_philox_gives_the_published_numbers():
    # Random123's kat_vectors file, philox4x32 with 10 rounds.
    known = [
        ([0] * 4, (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ([0xFFFFFFFF] * 4, (0xFFFFFFFF, 0xFFFFFFFF), "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            (0xA4093822, 0x299F31D0),
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ]
    for counter, key, words in known:
        assert " ".join(f"{word:08x}" for word in references.philox(np.array([counter], np.uint32), key)[0]) == words


def test_importing_check_does_not_import_torch():
    program = "import sys, mytensor.check; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)], check=True)
