"""Modules, layers, initialisation and the network of the report."""

import copy
import math

import mytensor_backend
import numpy as np
import pytest
import torch

import mytensor as mt
from mytensor import nn
from mytensor._tensor import Tensor
from mytensor.nn import Module, init


class TorchLeNet(torch.nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, 6, 3, padding=1)
        self.conv2 = torch.nn.Conv2d(6, 16, 3, padding=1)
        self.fc1 = torch.nn.Linear(1024, 120)
        self.fc2 = torch.nn.Linear(120, 84)
        self.fc3 = torch.nn.Linear(84, num_classes)

    def forward(self, x):
        pool, relu = torch.nn.functional.max_pool2d, torch.relu
        x = pool(relu(self.conv2(pool(relu(self.conv1(x)), 2))), 2).flatten(1)
        return self.fc3(relu(self.fc2(relu(self.fc1(x)))))


def torch_values(model):
    return {name: value.numpy() for name, value in model.state_dict().items()}


class TestModule:
    def make(self):
        return nn.Sequential(nn.Linear(4, 3), nn.Sequential(nn.ReLU(), nn.Linear(3, 2, bias=False)))

    def test_names_like_torch(self):
        ours = self.make()
        theirs = torch.nn.Sequential(
            torch.nn.Linear(4, 3), torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(3, 2, bias=False))
        )
        assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]
        assert [name for name, _ in ours.named_modules()] == [name for name, _ in theirs.named_modules()]
        assert {n: t.shape for n, t in ours.state_dict().items()} == {
            n: tuple(t.shape) for n, t in theirs.state_dict().items()
        }
        assert repr(ours) == repr(theirs)

    def test_shared_parameters_count_once(self):
        layer = nn.Linear(3, 3)
        model = nn.Sequential(layer, layer)
        assert len(list(model.parameters())) == 2 and len(list(model.modules())) == 2

    def test_tied_weights_appear_under_both_names(self):
        class Tied(Module):
            def __init__(self):
                self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
                self.b.weight = self.a.weight

        model = Tied()
        assert len(list(model.parameters())) == 3 and "b.weight" in model.state_dict()
        model.load_state_dict(model.state_dict())

    def test_registration(self):
        class Net(Module):
            def __init__(self):
                self.parameter = nn.Parameter(mt.zeros(2))
                self.tensor = Tensor.uniform(2, 3)
                self.constant = mt.zeros(2)
                self.computed = self.tensor * 2

        net = Net()
        assert [name for name, _ in net.named_parameters()] == ["parameter", "tensor"]
        with pytest.raises(TypeError, match="is a parameter"):
            net.tensor = 3
        net.tensor = None
        assert net.tensor is None and len(list(net.parameters())) == 1
        net.tensor = Tensor.uniform(2)
        assert len(list(net.parameters())) == 2
        del net.tensor
        with pytest.raises(AttributeError, match="has no attribute 'tensor'"):
            _ = net.tensor
        net.parameter = nn.Linear(1, 1)
        assert "parameter.weight" in net.state_dict() and "parameter" not in net.state_dict()
        assert net.parameter is next(net.children())
        with pytest.raises(TypeError, match=r"Net\.forward is a method"):
            net.forward = nn.Linear(1, 1)

    def test_without_forward(self):
        with pytest.raises(NotImplementedError, match="forward"):
            Module()(1)

    def test_modes_and_apply(self):
        model = self.make()
        assert model.training and not any(part.training for part in model.eval().modules())
        assert all(part.training for part in model.train().modules())
        seen = []
        assert model.apply(lambda part: seen.append(type(part).__name__)) is model
        assert seen[-1] == "Sequential" and len(seen) == 5

    def test_frozen_parts(self):
        model = self.make()
        model[0].requires_grad_(False)
        model(mt.ones(1, 4)).sum().backward()
        assert model[0].weight.grad is None and model[1][1].weight.grad is not None

    def test_zero_grad(self):
        model = self.make()
        model(mt.ones(1, 4)).sum().backward()
        model.zero_grad(set_to_none=False)
        assert all((parameter.grad == 0).sum().item() == parameter.numel() for parameter in model.parameters())
        model.zero_grad()
        assert all(parameter.grad is None for parameter in model.parameters())

    def test_hooks(self):
        layer, seen = nn.ReLU(), []
        before = layer.register_forward_pre_hook(lambda module, inputs: inputs[0] * 2)
        after = layer.register_forward_hook(
            lambda module, inputs, output: seen.append((inputs[0].tolist(), output.tolist()))
        )
        assert layer(mt.tensor([-1.0, 1.0])).tolist() == [0, 2] and seen == [([-2, 2], [0, 2])]
        before.remove()
        after.remove()
        assert layer(mt.tensor([1.0])).tolist() == [1] and len(seen) == 1

    def test_copies_are_independent(self):
        model = self.make()
        twin = copy.deepcopy(model)
        with mt.no_grad():
            twin[0].weight.zero_()
        assert np.abs(model[0].weight.detach().numpy()).max() > 0
        assert len(list(twin.parameters())) == 3

    def test_dtype(self):
        model = self.make().double()
        assert model(mt.zeros(1, 4, dtype=mt.float64)).dtype == mt.float64
        with pytest.raises(TypeError, match="int64"):
            model.to(mt.int64)

    def test_sequential(self):
        model = nn.Sequential({"first": nn.Linear(2, 2), "second": nn.ReLU()})
        assert list(dict(model.named_children())) == ["first", "second"] and len(model) == 2
        assert type(model[-1]) is nn.ReLU and len(model[:1]) == 1 and [type(part) for part in model][1] is nn.ReLU
        with pytest.raises(TypeError, match="part 0"):
            nn.Sequential(lambda x: x)


class TestStateDict:
    @pytest.mark.parametrize("kind", ["torch", "numpy", "mytensor", "float64"])
    def test_loads_a_torch_lenet(self, kind):
        theirs, ours = TorchLeNet(), mt.models.LeNet()
        state = theirs.state_dict()
        if kind == "numpy":
            state = torch_values(theirs)
        elif kind == "mytensor":
            state = {name: mt.tensor(value) for name, value in torch_values(theirs).items()}
        elif kind == "float64":
            state = {name: value.double() for name, value in state.items()}
        assert ours.load_state_dict(state) == ([], [])
        for name, value in ours.state_dict().items():
            np.testing.assert_array_equal(value.numpy(), torch_values(theirs)[name])
        theirs.load_state_dict({name: torch.tensor(value.numpy()) for name, value in ours.state_dict().items()})

    def test_loads_torch_parameters(self):
        nn.Linear(3, 2).load_state_dict(dict(torch.nn.Linear(3, 2).named_parameters()))

    def test_everything_wrong_is_listed_and_nothing_loaded(self):
        model = nn.Linear(3, 2)
        before = model.weight.detach().clone().tolist()
        with pytest.raises(RuntimeError) as raised:
            model.load_state_dict({"weight": mt.zeros(2, 3), "bias": mt.zeros(3), "extra": mt.zeros(1)})
        assert "shape: bias is (3,)" in str(raised.value) and "unexpected: extra" in str(raised.value)
        with pytest.raises(RuntimeError, match="missing: bias"):
            model.load_state_dict({"weight": mt.zeros(2, 3)})
        with pytest.raises(RuntimeError, match="unreadable: bias"):
            model.load_state_dict({"weight": mt.zeros(2, 3), "bias": "text"})
        assert model.weight.tolist() == before

    def test_not_strict(self):
        model = nn.Linear(3, 2)
        result = model.load_state_dict({"weight": mt.zeros(2, 3), "extra": mt.zeros(1)}, strict=False)
        assert result == (["bias"], ["extra"]) and model.weight.tolist() == [[0, 0, 0]] * 2

    def test_state_shares_memory(self):
        model = nn.Linear(3, 2)
        model.state_dict()["bias"].fill_(7)
        assert model.bias.tolist() == [7, 7]


class TestLeNet:
    @pytest.mark.parametrize("kernel", [kernel["name"] for kernel in mt.kernels("conv2d", device="cpu")])
    def test_forward_and_gradients_like_torch(self, kernel):
        with mt.use_kernel("conv2d", kernel):
            self.compare_with_torch()

    def compare_with_torch(self):
        theirs, ours = TorchLeNet().double(), mt.models.LeNet().double()
        ours.load_state_dict(theirs.state_dict())
        images = np.random.default_rng().standard_normal((5, 3, 32, 32))
        labels = np.array([3, 1, 9, 0, 3])
        wanted = torch.nn.functional.cross_entropy(theirs(torch.tensor(images)), torch.tensor(labels))
        loss = nn.CrossEntropyLoss()(ours(mt.tensor(images)), mt.tensor(labels))
        wanted.backward()
        loss.backward()
        assert abs(loss.item() - wanted.item()) <= 1e-12
        gradients = dict(theirs.named_parameters())
        for name, parameter in ours.named_parameters():
            want = gradients[name].grad.numpy()
            # 5 * 32 * 32 terms a sum at the most, five layers in a row; each rounding at most eps of the largest
            # gradient
            error = np.abs(parameter.grad.numpy() - want)
            assert (error <= 5 * 5 * 1024 * 2.2e-16 * np.abs(want).max()).all(), name

    def test_other_number_of_classes(self):
        assert mt.models.LeNet(7)(mt.zeros(2, 3, 32, 32)).shape == (2, 7)

    def test_wrong_image_size(self):
        with pytest.raises(ValueError, match="1024"):
            mt.models.LeNet()(mt.zeros(2, 3, 28, 28))


class TestReport:
    """The report's appendix, typed as it stands."""

    def test_the_class_trains(self):
        class Conv2D(Module):
            def __init__(self, in_channels, out_channels, ksize):
                super().__init__()
                self.weight = Tensor.uniform(out_channels, in_channels, ksize, ksize)

            def forward(self, x):
                return mytensor_backend.conv2d(x, self.weight)

        self.train(Conv2D)

    def test_ours_trains(self):
        assert repr(nn.Conv2D(3, 5, 3)) == "Conv2D(3, 5, ksize=3)"
        self.train(nn.Conv2D)

    def train(self, conv):
        mt.manual_seed(3)
        model = nn.Sequential(
            conv(3, 6, 3), nn.ReLU(), nn.MaxPool2d(2), conv(6, 4, 5), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 16, 5)
        )
        images, labels = mt.randn(20, 3, 8, 8), mt.tensor(np.arange(20) % 5)
        assert conv(3, 6, 3)(images).shape == (20, 6, 8, 8)  # the size is kept
        before = {name: value.clone().numpy() for name, value in model.state_dict().items()}
        assert list(before) == ["0.weight", "3.weight", "6.weight", "6.bias"]
        optimizer = mt.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
        losses = []
        for _ in range(60):
            optimizer.zero_grad()
            loss = nn.CrossEntropyLoss()(model(images), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < 0.2 * losses[0]
        for name, value in model.state_dict().items():
            moved = value.numpy() != before[name]
            assert moved.any(axis=tuple(range(1, moved.ndim))).all() if name != "6.bias" else moved.all(), name

    def test_backend_operations_take_tensors(self):
        x = mt.tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
        y = mytensor_backend.matmul(x, mytensor_backend.relu(x), transpose_b=True)
        mytensor_backend.sum(mytensor_backend.cat([y, y], 0)).backward()
        wanted = torch.arange(6.0, dtype=torch.float64).reshape(2, 3).requires_grad_()
        (2 * (wanted @ wanted.relu().T).sum()).backward()
        np.testing.assert_allclose(x.grad.numpy(), wanted.grad.numpy(), rtol=1e-14)
        with pytest.raises(TypeError, match="NDArray"):
            mytensor_backend.relu_backward(x, x)
        with pytest.raises(TypeError):
            mytensor_backend.relu("text")


class TestLayers:
    @pytest.mark.parametrize(
        ("name", "arguments", "options"),
        [
            ("Conv2d", (6, 4, (3, 2)), {"stride": 2, "padding": (1, 0), "dilation": (1, 2), "groups": 2}),
            ("Conv2d", (6, 4, 3), {"bias": False, "padding": "same"}),
            ("Linear", (5, 3), {}),
            ("Linear", (5, 3), {"bias": False}),
            ("MaxPool2d", ((3, 2),), {"stride": (2, 1), "padding": 1, "ceil_mode": True}),
            ("AvgPool2d", (2,), {"padding": 1, "count_include_pad": False}),
            ("Flatten", (), {"start_dim": 2}),
            ("ReLU", (), {}),
        ],
    )
    def test_like_torch(self, name, arguments, options):
        ours, theirs = (
            getattr(nn, name)(*arguments, **options).double(),
            getattr(torch.nn, name)(*arguments, **options).double(),
        )
        ours.load_state_dict(theirs.state_dict())
        assert repr(ours).replace("padding='same'", "padding=same") == repr(theirs).replace(
            "padding='same'", "padding=same"
        )
        x = np.random.default_rng().standard_normal((2, 6, 7, 5))
        np.testing.assert_allclose(
            ours(mt.tensor(x)).detach().numpy(), theirs(torch.tensor(x)).detach().numpy(), rtol=1e-11, atol=1e-12
        )

    def test_losses(self):
        x, t, w = np.random.default_rng().standard_normal((4, 3)), np.array([0, 2, 1, 2]), np.array([0.5, 1.0, 2.0])
        for name, options in (("CrossEntropyLoss", {"label_smoothing": 0.1}), ("NLLLoss", {})):
            ours = getattr(nn, name)(weight=mt.tensor(w), ignore_index=1, reduction="sum", **options)
            theirs = getattr(torch.nn, name)(weight=torch.tensor(w), ignore_index=1, reduction="sum", **options)
            assert (
                abs(ours(mt.tensor(x), mt.tensor(t)).item() - theirs(torch.tensor(x), torch.tensor(t)).item()) < 1e-13
            )
            assert list(ours.parameters()) == []

    def test_bad_sizes(self):
        for make, error in [
            (lambda: nn.Conv2d(0, 1, 3), ValueError),
            (lambda: nn.Conv2d(3, 4, 3, groups=2), ValueError),
            (lambda: nn.Conv2d(3, 4, "3"), TypeError),
            (lambda: nn.Conv2d(3, 4, 3, padding_mode="reflect"), NotImplementedError),
            (lambda: nn.Linear(3, -1), ValueError),
            (lambda: nn.Linear(3.0, 1), TypeError),
            (lambda: nn.Conv2D(3, 4, 0), ValueError),
        ]:
            with pytest.raises(error):
                make()


class TestInit:
    def test_fans_and_gains_like_torch(self):
        for shape in ((5, 3), (5, 3, 7, 2)):
            assert init.calculate_fan_in_and_fan_out(mt.zeros(shape)) == torch.nn.init._calculate_fan_in_and_fan_out(
                torch.zeros(shape)
            )
        for name in ("linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu"):
            assert init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
        assert init.calculate_gain("leaky_relu", 0.3) == torch.nn.init.calculate_gain("leaky_relu", 0.3)
        with pytest.raises(ValueError):
            init.calculate_gain("gelu")
        with pytest.raises(ValueError):
            init.kaiming_uniform_(mt.zeros(3))
        with pytest.raises(ValueError):
            init.kaiming_normal_(mt.zeros(3, 2), mode="fan")

    @pytest.mark.parametrize(
        ("fill", "std", "bound"),
        [
            (lambda w: init.kaiming_uniform_(w, nonlinearity="relu"), math.sqrt(2 / 200), math.sqrt(6 / 200)),
            (lambda w: init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu"), math.sqrt(2 / 300), math.inf),
            (lambda w: init.xavier_uniform_(w, gain=2.0), 2 * math.sqrt(2 / 500), 2 * math.sqrt(6 / 500)),
            (lambda w: init.xavier_normal_(w), math.sqrt(2 / 500), math.inf),
            (lambda w: init.uniform_(w, -1, 1), math.sqrt(1 / 3), 1.0),
            (lambda w: init.normal_(w, 0, 3), 3.0, math.inf),
        ],
    )
    def test_moments(self, fill, std, bound):
        weight = mt.zeros(300, 200, requires_grad=True)
        assert fill(weight) is weight and weight.is_leaf
        values = weight.detach().numpy()
        # 60,000 draws: five standard errors of the mean, and of the standard deviation
        assert abs(values.mean()) < 5 * std / math.sqrt(values.size)
        assert abs(values.std() / std - 1) < 5 / math.sqrt(2 * values.size)
        assert np.abs(values).max() <= bound * (1 + 1e-6)

    def test_constants(self):
        weight = mt.zeros(2)
        assert (
            init.constant_(weight, 3).tolist() == [3, 3]
            and init.ones_(weight).tolist() == [1, 1]
            and init.zeros_(weight).tolist() == [0, 0]
        )

    def test_layers_start_where_torch_starts(self):
        for layer, fan_in in ((nn.Linear(400, 300), 400), (nn.Conv2d(20, 300, 3), 180)):
            bound = 1 / math.sqrt(fan_in)
            for parameter in (layer.weight, layer.bias):
                values = parameter.detach().numpy()
                assert np.abs(values).max() <= bound and np.abs(values).max() > 0.95 * bound
                assert np.unique(values).size > 0.9 * values.size or values.size > 10_000
