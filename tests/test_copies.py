"""copy.copy, copy.deepcopy and pickle of tensors, parameters, modules, optimisers and schedules."""

import copy
import inspect
import pickle

import numpy as np
import pytest
from devices import DEVICES

import mytensor as mt
from mytensor import nn

WAYS = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{
        f"pickle{protocol}": lambda value, protocol=protocol: pickle.loads(pickle.dumps(value, protocol))
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
}
DEEP = {name: way for name, way in WAYS.items() if name != "copy"}
DTYPES = [value for value in vars(mt).values() if isinstance(value, mt.DType)]


class Named(mt.Parameter):
    """A parameter with a constructor and attributes of its own."""

    def __init__(self, name, data):
        super().__init__(data)
        self.name = name
        self.notes = [name]


class Slotted(mt.Tensor):
    __slots__ = ("unit",)


class Doubling(nn.Module):
    def __init__(self):
        self.layer = nn.Linear(2, 2)
        self.calls = []
        self.layer.register_forward_hook(self.note)

    def note(self, module, inputs, output):
        self.calls.append(1)
        return output * 2

    def forward(self, x):
        return self.layer(x)


def same(a, b):
    """The same bits, dtype, device and need for a gradient."""
    np.testing.assert_array_equal(a.detach().cpu().numpy(), b.detach().cpu().numpy())
    assert (a.dtype, a.device, a.requires_grad, a.is_leaf) == (b.dtype, b.device, b.requires_grad, b.is_leaf)
    assert a.shape == b.shape and (a.grad is None) == (b.grad is None)
    if a.grad is not None:
        same(a.grad, b.grad)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
class TestTensors:
    @pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.name)
    @pytest.mark.parametrize("shape", [(), (1,), (3, 5), (0, 2)], ids=str)
    def test_every_dtype(self, way, device, dtype, shape):
        x = mt.tensor(np.random.default_rng().uniform(0, 99, shape), dtype=dtype).to(device)
        twin = way(x)
        assert type(twin) is mt.Tensor and twin is not x
        same(twin, x)

    def test_gradients(self, way, device):
        for x in (
            mt.ones(3, device=device, requires_grad=True),
            mt.Parameter(mt.ones(3, device=device)),
        ):
            (x * x * 3).sum().backward()
            twin = way(x)
            assert type(twin) is type(x)
            same(twin, x)
            assert twin.grad.tolist() == [6, 6, 6]
            (twin * 1).sum().backward()  # it is a leaf like any other
            assert twin.grad.tolist() == [7, 7, 7]

    def test_memory(self, way, device):
        x = mt.ones(3).to(device)
        twin = way(x)
        twin.add_(1)
        assert x.tolist() == ([2, 2, 2] if way is copy.copy else [1, 1, 1]) and twin.tolist() == [2, 2, 2]

    def test_parts(self, way, device):
        """A shallow copy of x[1:3] reaches x as x[1:3] does; the others have memory of their own."""
        x = mt.zeros(4).to(device)
        part = x[1:3]
        twin = way(part)
        twin.fill_(9)
        assert x.tolist() == ([0, 9, 9, 0] if way is copy.copy else [0, 0, 0, 0]) and twin.tolist() == [9, 9]
        part.add_(1)
        assert x[1:3].tolist() == part.tolist()

    def test_computed_tensors(self, way, device):
        x = mt.ones(3).to(device).requires_grad_()
        for value in (x * 2, [x * 2], {"a": x.sum()}):
            if way is copy.copy and not isinstance(value, mt.Tensor):
                continue
            with pytest.raises(RuntimeError, match=r"only leaves can be copied or pickled; use \.detach"):
                way(value)
        same(way((x * 2).detach()), (x * 2).detach())

    def test_subclasses(self, way, device):
        named = Named("w", mt.ones(2).to(device))
        twin = way(named)
        assert type(twin) is Named and twin.name == "w" and twin.notes == ["w"] and twin.requires_grad
        assert (twin.notes is named.notes) == (way is copy.copy)
        slotted = Slotted(mt.ones(2).array)
        slotted.unit = "m"
        assert type(way(slotted)) is Slotted and way(slotted).unit == "m"


def test_hooks_stay_behind():
    """As in torch: a hook belongs to the tensor it was registered on."""
    x, seen = mt.ones(2, requires_grad=True), []
    x.register_hook(seen.append)
    for way in WAYS.values():
        (way(x) * 2).sum().backward()
    assert not seen


@pytest.mark.parametrize("way", DEEP.values(), ids=DEEP)
class TestTogether:
    def test_one_tensor_stays_one(self, way):
        x = mt.ones(2, requires_grad=True)
        x.grad = y = mt.ones(2)
        a, b, c = way([x, x, y])
        assert a is b and a.grad is c

    def test_shared_memory_stays_shared(self, way):
        x = mt.ones(2, requires_grad=True)
        a, b = way((x, x.detach()))
        b.fill_(5)
        assert a.tolist() == [5, 5] and x.tolist() == [1, 1]

    def test_tied_modules(self, way):
        model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        model[1].weight = model[0].weight
        model.third = model[0]
        model(mt.ones(1, 2)).sum().backward()
        twin = way(model)
        assert twin[1].weight is twin[0].weight and twin[2] is twin[0]
        assert list(twin.state_dict()) == list(model.state_dict())
        for (name, mine), (other_name, other) in zip(model.named_parameters(), twin.named_parameters(), strict=True):
            assert name == other_name and mine is not other
            same(mine, other)
        assert twin[0].weight is next(twin.parameters())  # attributes and registers are the same objects

    @pytest.mark.parametrize("momentum", [0.0, 0.9])
    def test_model_and_optimiser(self, way, momentum):
        """Copied between backward and step: the copy of the optimiser steps the copy of the model, the same numbers."""
        model = nn.Linear(3, 2)
        sgd = mt.optim.SGD(model.parameters(), lr=0.1, momentum=momentum, weight_decay=0.1)
        schedule = mt.optim.lr_scheduler.StepLR(sgd, 1, 0.5)

        def forward_and_backward(net):
            net.zero_grad()
            (net(mt.ones(4, 3)) * net(mt.ones(4, 3))).sum().backward()

        forward_and_backward(model)
        sgd.step()
        forward_and_backward(model)
        twin, twin_sgd, twin_schedule = way((model, sgd, schedule))
        assert twin_sgd.param_groups[0]["params"][0] is twin.weight and twin_schedule.optimizer is twin_sgd
        before = [parameter.tolist() for parameter in model.parameters()]
        for _ in range(2):
            twin_sgd.step()
            twin_schedule.step()
            forward_and_backward(twin)
        assert [parameter.tolist() for parameter in model.parameters()] == before
        for _ in range(2):
            sgd.step()
            schedule.step()
            forward_and_backward(model)
        for mine, other in zip(model.parameters(), twin.parameters(), strict=True):
            assert mine.tolist() == other.tolist() != before and mine.grad.tolist() == other.grad.tolist()
        assert schedule.get_last_lr() == twin_schedule.get_last_lr()

    def test_every_layer(self, way):
        kinds = [kind for kind in vars(nn).values() if isinstance(kind, type) and issubclass(kind, nn.Module)]
        given = {"in_channels": 2, "out_channels": 3, "in_features": 2, "out_features": 3, "kernel_size": 2, "ksize": 3}
        assert len(kinds) > 9
        for kind in kinds:
            names = inspect.signature(kind).parameters
            layer = kind(**{name: value for name, value in given.items() if name in names}).eval()
            twin = way(layer)
            assert type(twin) is kind and repr(twin) == repr(layer) and twin.training is False
            assert vars(twin).keys() == vars(layer).keys()
            for mine, other in zip(layer.parameters(), twin.parameters(), strict=True):
                same(mine, other)

    def test_hooks_of_modules(self, way):
        """A hook that is the module's own method becomes the copy's."""
        model = Doubling()
        twin = way(model)
        x = mt.ones(1, 2)
        assert twin(x).tolist() == model(x).tolist() and len(twin.calls) == len(model.calls) == 1


def test_lambdas_are_copied_but_not_pickled():
    layer = nn.ReLU()
    layer.register_forward_hook(lambda module, inputs, output: output + 1)
    assert copy.deepcopy(layer)(mt.ones(1)).tolist() == [2]
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(layer)


def test_training_is_bit_for_bit_the_same_on_the_copy():
    def train(model):
        sgd = mt.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        x, target = mt.tensor(np.linspace(-1, 1, 5 * 3 * 8 * 8).reshape(5, 3, 8, 8)), mt.tensor([0, 1, 2, 1, 0])
        for _ in range(3):
            sgd.zero_grad()
            nn.CrossEntropyLoss()(model(x.float()), target).backward()
            sgd.step()
        return [parameter.tolist() for parameter in model.parameters()]

    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3))
    twins = [way(model) for way in DEEP.values()]
    wanted = train(model)
    assert all(train(twin) == wanted for twin in twins)
