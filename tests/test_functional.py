"""mytensor.nn.functional: torch's signatures and meanings, in float64 against torch, with fresh random arguments."""

from typing import ClassVar

import numpy as np
import pytest
import torch
from twins import close, compare, draw

import mytensor as mt
from mytensor.nn import functional as F

TF = torch.nn.functional


def same(name, *arrays, terms=512, **options):
    """The function of this name in both libraries."""
    compare(
        lambda *tensors: getattr(F, name)(*tensors, **options),
        *arrays,
        terms=terms,
        also=lambda *tensors: getattr(TF, name)(*tensors, **options),
    )


class TestConv2d:
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"stride": 2},
            {"stride": (2, 3), "padding": (2, 1)},
            {"padding": 3, "dilation": (1, 2)},
            {"padding": "valid"},
            {"padding": "same"},
            {"padding": "same", "dilation": (3, 2)},
            {"stride": (2,), "padding": [1], "dilation": (2,)},
            {"padding": "same", "stride": (1,)},
        ],
        ids=str,
    )
    def test_options(self, options):
        same("conv2d", draw(2, 3, 11, 9), draw(5, 3, 3, 2), draw(5), **options)

    def test_groups(self):
        same("conv2d", draw(2, 6, 7, 5), draw(9, 2, 3, 2), draw(9), groups=3, padding=1)

    def test_without_bias_and_without_batch(self):
        same("conv2d", draw(3, 7, 5), draw(4, 3, 2, 3))
        same("conv2d", draw(3, 7, 5), draw(4, 3, 2, 3), draw(4), padding="same")

    def test_empty_batch(self):
        same("conv2d", draw(0, 3, 7, 5), draw(4, 3, 2, 3), draw(4))

    def test_only_the_wanted_gradients(self):
        images, weight = mt.tensor(draw(2, 3, 5, 7)), mt.tensor(draw(4, 3, 2, 3), requires_grad=True)
        F.conv2d(images, weight).sum().backward()
        assert images.grad is None and weight.grad is not None

    @pytest.mark.parametrize(
        ("arguments", "error", "words"),
        [
            ((np.zeros((1, 3, 5, 5)), mt.zeros(2, 3, 3, 3)), TypeError, "input must be a Tensor"),
            ((mt.zeros(5, 5), mt.zeros(2, 3, 3, 3)), ValueError, "3 or 4 dimensions"),
            ((mt.zeros(1, 3, 5, 5), mt.zeros(2, 3, 3)), ValueError, "weight"),
            ((mt.zeros(1, 3, 5, 5), mt.zeros(2, 4, 3, 3)), ValueError, "channel"),
            ((mt.zeros(1, 3, 5, 5), mt.zeros(2, 3, 3, 3), mt.zeros(3)), ValueError, "bias"),
            ((mt.zeros(1, 3, 5, 5), mt.zeros(2, 3, 7, 7)), ValueError, "kernel"),
            ((mt.zeros(1, 3, 5, 5), mt.zeros(2, 3, 3, 3, dtype=mt.float64)), TypeError, "float"),
            ((mt.zeros(1, 3, 5, 5), mt.zeros(2, 3, 3, 3), None, 0), ValueError, "stride"),
            ((mt.zeros(1, 3, 5, 5), mt.zeros(2, 3, 3, 3), None, 2, "same"), ValueError, "stride 1"),
            ((mt.zeros(1, 3, 5, 5), mt.zeros(2, 3, 3, 3), None, 1, "full"), ValueError, "same"),
        ],
    )
    def test_errors(self, arguments, error, words):
        with pytest.raises(error, match=words):
            F.conv2d(*arguments)


class TestFoldAndUnfold:
    OPTIONS: ClassVar = {"kernel_size": (3, 2), "dilation": (1, 2), "padding": (2, 1), "stride": (2, 1)}

    def test_unfold(self):
        same("unfold", draw(2, 3, 7, 5), **self.OPTIONS)
        same("unfold", draw(3, 7, 5), kernel_size=2)

    def test_fold(self):
        columns = TF.unfold(torch.zeros(2, 3, 7, 5), **self.OPTIONS).shape
        same("fold", draw(*columns), output_size=(7, 5), **self.OPTIONS)
        same("fold", draw(*columns[1:]), output_size=(7, 5), **self.OPTIONS)


class TestLinear:
    @pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 3, 5), (0, 5)])
    def test_any_number_of_dimensions(self, shape):
        same("linear", draw(*shape), draw(4, 5), draw(4))
        same("linear", draw(*shape), draw(4, 5))

    def test_errors(self):
        with pytest.raises(ValueError, match="5"):
            F.linear(mt.zeros(2, 3, 4), mt.zeros(2, 5))
        with pytest.raises(ValueError):
            F.linear(mt.zeros(3, 4), mt.zeros(2, 5))


class TestPooling:
    @pytest.mark.parametrize(
        "options",
        [
            {"kernel_size": 2},
            {"kernel_size": (3, 2), "stride": (2, 1), "padding": 1},
            {"kernel_size": 3, "stride": 2, "ceil_mode": True},
            {"kernel_size": 2, "dilation": 2},
        ],
        ids=str,
    )
    def test_max(self, options):
        x = np.round(draw(2, 3, 9, 7))  # many ties
        same("max_pool2d", x, **options)
        same("max_pool2d", x[0], **options)
        for images in (x, x[0]):
            ours = F.max_pool2d(mt.tensor(images), return_indices=True, **options)
            theirs = TF.max_pool2d(torch.tensor(images), return_indices=True, **options)
            close(ours[0], theirs[0])
            assert ours[1].tolist() == theirs[1].tolist()

    @pytest.mark.parametrize(
        "options",
        [
            {"kernel_size": 2},
            {"kernel_size": (3, 2), "stride": (2, 1), "padding": 1},
            {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True, "count_include_pad": False},
            {"kernel_size": 2, "divisor_override": 3},
        ],
        ids=str,
    )
    def test_average(self, options):
        same("avg_pool2d", draw(2, 3, 9, 7), **options)
        same("avg_pool2d", draw(3, 9, 7), **options)

    SIZES: ClassVar = [
        {"kernel_size": (3,)},
        {"kernel_size": [3], "stride": (2,), "padding": (1,)},
        {"kernel_size": (3, 2), "stride": ()},
        {"kernel_size": 2, "stride": []},
        {"kernel_size": np.int64(2)},
    ]

    @pytest.mark.parametrize("options", SIZES, ids=str)
    @pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
    def test_sizes_that_torch_takes(self, name, options):
        same(name, draw(2, 3, 9, 7), **options)

    LAYERS: ClassVar = [
        lambda nn: nn.MaxPool2d((2,)),
        lambda nn: nn.MaxPool2d(3, ()),
        lambda nn: nn.AvgPool2d([3], (), (1,)),
    ]

    @pytest.mark.parametrize("layer", LAYERS)
    def test_layers_with_sizes_that_torch_takes(self, layer):
        ours, theirs = layer(mt.nn), layer(torch.nn)
        compare(ours, draw(2, 3, 9, 7), also=theirs)

    def test_convolution_layers_with_sizes_that_torch_takes(self):
        sizes = {"stride": (2,), "padding": [1], "dilation": (2,)}
        for name, value in sizes.items():
            ours, theirs = mt.nn.Conv2d(3, 4, 2, **{name: value}), torch.nn.Conv2d(3, 4, 2, **{name: value})
            x = np.float32(draw(2, 3, 9, 7))
            assert ours(mt.tensor(x)).shape == tuple(theirs(torch.tensor(x)).shape)

    def test_a_dilation_in_a_list(self):
        same("max_pool2d", draw(2, 3, 9, 7), kernel_size=2, dilation=[2])


class TestActivations:
    def test_relu(self):
        same("relu", np.array([-1.0, 0.0, 2.0]))
        with pytest.raises(NotImplementedError, match="inplace"):
            F.relu(mt.zeros(1), inplace=True)

    @pytest.mark.parametrize("name", ["softmax", "log_softmax"])
    def test_softmax(self, name):
        same(name, draw(3, 4, 5), dim=1)
        with pytest.raises(TypeError, match="dim"):
            getattr(F, name)(mt.zeros(2))
        assert getattr(F, name)(mt.zeros(2), 0, dtype=mt.float64).dtype == mt.float64


class TestLosses:
    CASES: ClassVar = [((4, 5), (4,)), ((3, 5, 2, 7), (3, 2, 7)), ((2, 5, 3), (2, 3)), ((5,), ())]

    @staticmethod
    def classes(shape, ignored=-100):
        target = np.random.default_rng().integers(0, 5, shape)
        if target.size > 2:
            target.flat[1] = ignored
        return np.asarray(target)

    @pytest.mark.parametrize(("shape", "target_shape"), CASES)
    @pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
    @pytest.mark.parametrize("name", ["nll_loss", "cross_entropy"])
    def test_shapes_and_reductions(self, name, reduction, shape, target_shape):
        same(name, draw(*shape), self.classes(target_shape), reduction=reduction)

    @pytest.mark.parametrize("name", ["nll_loss", "cross_entropy"])
    def test_weights_and_ignored_targets(self, name):
        weight = draw(5, low=0.1)
        for reduction in ("none", "mean", "sum"):
            options = {"ignore_index": 2, "reduction": reduction}
            compare(
                lambda x, t, o=options: getattr(F, name)(x, t, mt.tensor(weight), **o),
                draw(6, 5, 3),
                self.classes((6, 3), ignored=2),
                terms=512,
                also=lambda x, t, o=options: getattr(TF, name)(x, t, torch.tensor(weight), **o),
            )

    @pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
    def test_label_smoothing(self, reduction):
        same("cross_entropy", draw(6, 5, 3), self.classes((6, 3)), label_smoothing=0.3, reduction=reduction)

    def test_extreme_logits(self):
        same("cross_entropy", np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]]), np.array([1, 2]))

    def test_all_ignored_and_empty(self):
        for logits, target in ((mt.zeros(2, 3), [-100, -100]), (mt.zeros(0, 3), [])):
            target = mt.tensor(target, dtype=mt.int64)
            assert np.isnan(F.cross_entropy(logits, target).item())
            assert F.cross_entropy(logits, target, reduction="sum").item() == 0

    @pytest.mark.parametrize("name", ["nll_loss", "cross_entropy"])
    def test_errors(self, name):
        loss = getattr(F, name)
        logits, target = mt.zeros(2, 3), mt.tensor([0, 2])
        for arguments, options, error, words in [
            ((logits, mt.tensor([0, 3])), {}, IndexError, "3"),
            ((logits, mt.tensor([0, -1])), {}, IndexError, "-1"),
            ((logits, mt.tensor([0, 1, 2])), {}, ValueError, "target"),
            ((logits, mt.tensor([0, 1], dtype=mt.int32)), {}, TypeError, "int64"),
            ((logits, mt.zeros(2)), {}, TypeError, "class numbers"),
            ((logits, target), {"reduction": "avg"}, ValueError, "reduction"),
            ((logits, target), {"size_average": True}, NotImplementedError, "size_average"),
            ((logits, target, mt.ones(2)), {}, ValueError, "weight"),
            ((logits, [0, 2]), {}, TypeError, "Tensor"),
        ]:
            with pytest.raises(error, match=words):
                loss(*arguments, **options)

    @pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
    @pytest.mark.parametrize("smoothing", [0.0, 0.3, 1.0])
    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("shape", [(6, 5), (3, 5, 2, 7), (2, 5, 3), (5,)], ids=str)
    def test_probabilities_as_targets(self, shape, weighted, smoothing, reduction):
        """With gradients for the logits and for the probabilities; these need not sum to 1."""
        weight = draw(5, low=0.1) if weighted else None
        options = {"label_smoothing": smoothing, "reduction": reduction}
        compare(
            lambda x, p: F.cross_entropy(x, p, None if weight is None else mt.tensor(weight), **options),
            draw(*shape),
            draw(*shape, low=0.0),
            terms=512,
            also=lambda x, p: TF.cross_entropy(x, p, None if weight is None else torch.tensor(weight), **options),
        )

    def test_probabilities_in_a_layer(self):
        options = {"reduction": "sum", "label_smoothing": 0.1}
        ours, theirs = mt.nn.CrossEntropyLoss(**options), torch.nn.CrossEntropyLoss(**options)
        compare(ours, draw(6, 5), draw(6, 5, low=0.0), terms=512, also=theirs)

    def test_probabilities_of_large_logits(self):
        """Where exp overflows, and where a class without probability has a logarithm of minus infinity."""
        logits = np.array([[-4885.0, 4878.0, 0.0], [1e4, -1e4, 1e4], [0.0, 1.0, 2.0]])
        same("cross_entropy", logits, np.array([[0.2, 0.8, 0.0], [0.5, 0.0, 0.5], [2.0, -1.0, 0.0]]))
        logits[0, 0] = -np.inf
        for probabilities in ([[0.0, 1.0, 0.0]] * 3, [[0.5, 0.5, 0.0]] * 3):  # 0 times infinity is NaN, as in torch
            ours = F.cross_entropy(mt.tensor(logits), mt.tensor(np.array(probabilities)), reduction="none")
            theirs = TF.cross_entropy(torch.tensor(logits), torch.tensor(probabilities).double(), reduction="none")
            close(ours, theirs, 512)

    def test_probabilities_of_nothing(self):
        nothing = mt.zeros(0, 3)
        assert np.isnan(F.cross_entropy(nothing, nothing).item())
        assert F.cross_entropy(nothing, nothing, reduction="sum").item() == 0
        assert F.cross_entropy(nothing, nothing, reduction="none").shape == (0,)
        classless = mt.zeros(2, 0)
        assert np.isnan(F.cross_entropy(classless, classless).item())
        assert F.cross_entropy(classless, classless, reduction="none").tolist() == [0, 0]
