"""What modules are called and what they are given: arguments, names of parts, two names, loading by name, moving."""

import copy
import inspect
from collections import OrderedDict

import numpy as np
import pytest
import torch
from devices import DEVICES

import mytensor as mt
from mytensor import nn
from mytensor.nn import Module

LAYERS = [
    kind for kind in vars(nn).values() if isinstance(kind, type) and issubclass(kind, Module) and kind is not Module
]
# What a layer cannot be made without.
NEEDED = {
    "in_channels": 2,
    "out_channels": 3,
    "in_features": 2,
    "out_features": 3,
    "kernel_size": 2,
    "ksize": 3,
}


def needed(kind):
    return {name: value for name, value in NEEDED.items() if name in inspect.signature(kind).parameters}


class Empty(Module):
    def forward(self, x):
        return x


class TestArguments:
    @pytest.mark.parametrize("kind", [*LAYERS, Empty, Module], ids=lambda kind: kind.__name__)
    def test_no_argument_is_swallowed(self, kind):
        """Every layer there is: too many arguments, and one that nobody has heard of, are a TypeError that names it."""
        most = 0 if kind.__init__ is Module.__init__ else len(inspect.signature(kind).parameters)
        calls = [lambda: kind(**needed(kind), wrong=1)]
        if kind is not nn.Sequential:
            calls.append(lambda: kind(*range(1, most + 2)))
        for call in calls:
            with pytest.raises(TypeError, match=kind.__name__):
                call()

    @pytest.mark.parametrize("name", ["_init_", "__int__", "init", "__inti__", "_init__", "__init"])
    def test_a_misspelt_init_is_named(self, name):
        kind = type("Net", (Module,), {name: lambda self, size: None})
        with pytest.raises(TypeError, match=rf"got 4 \(int\), wide=True \(bool\); rename Net\.{name} to __init__"):
            kind(4, wide=True)

    def test_other_methods_are_not_taken_for_init(self):
        kind = type("Net", (Module,), {"__iter__": lambda self: iter(()), "helper": lambda self: 1})
        with pytest.raises(TypeError, match="give the class an __init__"):
            kind(4)

    @pytest.mark.parametrize("name", ["foward", "_forward", "forwrad", "Forward"])
    def test_a_misspelt_forward_is_named(self, name):
        kind = type("Net", (Module,), {name: lambda self, x: x})
        with pytest.raises(NotImplementedError, match=f"Net needs a method forward.*is {name} a misspelt forward"):
            kind()(1)
        with pytest.raises(NotImplementedError, match="Net needs a method forward"):
            kind()(x=1)

    def test_super_init_takes_nothing(self):
        class Net(Module):
            def __init__(self, *sizes):
                super().__init__(*sizes)

        Net()
        with pytest.raises(TypeError, match=r"Net: Module.__init__ takes no arguments, got 3 \(int\)"):
            Net(3)

    def test_other_base_classes_get_their_arguments(self):
        class Sized:
            def __init__(self, size):
                self.size = size

        class Before(Sized, Module):
            pass

        class After(Module, Sized):
            pass

        assert Before(3).size == After(3).size == 3

    def test_relu_inplace(self):
        assert nn.ReLU(inplace=False)(mt.tensor([-1.0, 1.0])).tolist() == [0, 1]
        for arguments in ({"inplace": True}, {"inplace": 1}):
            with pytest.raises(NotImplementedError, match="inplace=True is not supported; the result is a new tensor"):
                nn.ReLU(**arguments)

    @pytest.mark.parametrize("kind", [kind for kind in LAYERS if hasattr(torch.nn, kind.__name__)])
    def test_arguments_are_torchs_in_torchs_order(self, kind):
        ours = list(inspect.signature(kind).parameters)
        theirs = list(inspect.signature(getattr(torch.nn, kind.__name__).__init__).parameters)[1:]
        if kind is not nn.Sequential:
            assert ours == [name for name in theirs if name not in ("device", "dtype")]

    def test_arguments_of_init_and_sgd_are_torchs_in_torchs_order(self):
        functions = [name for name in dir(nn.init) if name.endswith("_") and not name.startswith("_")]
        pairs = [(getattr(nn.init, name), getattr(torch.nn.init, name)) for name in functions]
        for ours, theirs in [*pairs, (mt.optim.SGD, torch.optim.SGD)]:
            names = list(inspect.signature(ours).parameters)
            assert names == list(inspect.signature(theirs).parameters)[: len(names)], ours


def ways_to_name(name, value):
    """(how, call) for every way in which a part gets a name."""
    kind = type("Net", (Module,), {"forward": lambda self, x: x})
    yield "setattr", lambda: setattr(kind(), name, value)
    if isinstance(value, Module):
        yield "add_module", lambda: kind().add_module(name, value)
        yield "Sequential", lambda: nn.Sequential(OrderedDict([(name, value)]))
        yield "dict", lambda: nn.Sequential({name: value})
    else:
        yield "register_parameter", lambda: kind().register_parameter(name, value)


PARTS = {"Module": nn.ReLU(), "Parameter": mt.Parameter(mt.ones(1))}


class TestNamesOfParts:
    @pytest.mark.parametrize("part", PARTS)
    @pytest.mark.parametrize("name", ["", ".", "a.b", "a.", ".a"])
    def test_dots_and_nothing(self, name, part):
        for how, call in ways_to_name(name, PARTS[part]):
            with pytest.raises(ValueError, match="cannot be named"):
                print(how)
                call()

    @pytest.mark.parametrize("part", PARTS)
    def test_names_of_modules_own(self, part):
        """Whatever a fresh module has under a name, method or state, no part may take it."""
        own = sorted(set(dir(Module())) - set(dir(object())) - {"__dict__", "__weakref__", "__annotations__"})
        assert {"training", "forward", "parameters", "_modules"} < set(own)
        for name in own:
            if name in ("__module__", "__static_attributes__", "__firstlineno__", "__slotnames__"):  # Python's own
                continue
            for how, call in ways_to_name(name, PARTS[part]):
                with pytest.raises(TypeError, match=r"belongs to Module|is a method|is there already"):
                    print(how, name)
                    call()

    @pytest.mark.parametrize("name", [0, None, 1.5, ("a",), b"a"])
    def test_names_are_strings(self, name):
        for part in PARTS.values():
            for how, call in ways_to_name(name, part):
                with pytest.raises(TypeError, match="string"):
                    print(how)
                    call()

    @pytest.mark.parametrize("name", ["0", "a b", "größe", "class", "weight", "é" * 300, "a-b", "mro"])
    def test_any_other_name(self, name):
        for part in PARTS.values():
            for _, call in ways_to_name(name, part):
                call()

    def test_properties_methods_and_slots_of_the_class(self):
        class Net(Module):
            __slots__ = ("kept",)
            plain = None

            @property
            def size(self):
                return 1

            @staticmethod
            def fixed():
                pass

            @classmethod
            def ours(cls):
                pass

        net = Net()
        for part in PARTS.values():
            for name in ("fixed", "ours"):
                with pytest.raises(TypeError, match=f"Net.{name} is a method"):
                    setattr(net, name, part)
            with pytest.raises(AttributeError, match=r"property 'size' of .* has no setter"):
                net.size = part
        assert not list(net.parameters()) and not list(net.children())
        net.kept, net.plain = nn.Linear(1, 1), nn.ReLU()
        assert [name for name, _ in net.named_children()] == ["kept", "plain"] and net.plain is net._modules["plain"]
        assert net.kept is not None and copy.deepcopy(net).kept is not net.kept

    def test_a_propertys_setter_is_called(self):
        """It may keep the part elsewhere: under another name, or in a list, where it is no part."""

        class Net(Module):
            def __init__(self):
                self.inner = nn.Linear(2, 2)
                self._kept = [None]

            @property
            def weight(self):
                return self.inner.weight

            @weight.setter
            def weight(self, value):
                self.inner.weight = value

            @property
            def link(self):
                return self._kept[0]

            @link.setter
            def link(self, value):
                self._kept[0] = value

            @property
            def broken(self):
                return self.nothing

        net, weight = Net(), mt.Parameter(mt.zeros(2, 2))
        net.weight = weight
        assert net.weight is net.inner.weight is weight
        for part in PARTS.values():
            net.link = part
            assert net.link is part
        assert list(net.state_dict()) == ["inner.weight", "inner.bias"] and len(list(net.modules())) == 2
        with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
            _ = net.broken

    def test_add_module_and_register_parameter(self):
        net = Empty()
        net.add_module("act", nn.ReLU())
        net.register_parameter("bias", None)
        assert net.bias is None and list(net.state_dict()) == []
        net.register_parameter("bias", mt.Parameter(mt.ones(2)))
        net.plain = 3
        assert list(net.state_dict()) == ["bias"]
        for call in (
            lambda: net.add_module("x", 3),
            lambda: net.add_module("x", nn.ReLU),
            lambda: net.register_parameter("x", mt.ones(1)),
            lambda: net.add_module("plain", nn.ReLU()),
            lambda: net.register_parameter("act", mt.Parameter(mt.ones(1))),
        ):
            with pytest.raises(TypeError, match=r"x must be|is there already"):
                call()


class TestAttributes:
    def test_what_replaces_a_part_takes_its_place(self):
        """The order is what Sequential computes in, and what optimisers number parameters by."""
        ours, theirs = (lib.Sequential(lib.Linear(2, 3), lib.ReLU(), lib.Linear(3, 4)) for lib in (nn, torch.nn))
        for model, lib in ((ours, nn), (theirs, torch.nn)):
            setattr(model, "0", lib.Linear(2, 3, bias=False))
        assert ours(mt.ones(1, 2)).shape == (1, 4) and list(ours.state_dict()) == list(theirs.state_dict())
        layer = nn.Linear(2, 3)
        layer.weight = nn.Parameter(mt.ones(3, 2))
        assert list(layer.state_dict()) == ["weight", "bias"]
        with mt.no_grad():
            layer.weight *= 2
        assert list(layer.state_dict()) == ["weight", "bias"] and layer.weight.tolist() == [[2, 2]] * 3

    def test_in_place_on_a_frozen_tensor(self):
        layer = nn.Conv2D(1, 1, 1).requires_grad_(False)
        weight, before = layer.weight, layer.weight.item()
        layer.weight *= 2
        assert layer.weight is weight and weight.item() == 2 * before and list(layer.state_dict()) == ["weight"]

    def test_none_takes_a_part_away(self):
        net = nn.Sequential(nn.Linear(1, 1), nn.ReLU())
        net.extra = nn.Linear(1, 1)
        net.extra = None
        assert net.extra is None and len(net) == 2
        net.extra = nn.Linear(1, 1)
        for value in (5, "x", mt.ones(1), nn.ReLU, lambda: 1):
            with pytest.raises(TypeError, match="is a module and cannot become"):
                net.extra = value
        del net.extra
        net.extra = 5
        assert net.extra == 5 and len(net) == 2

    def test_replacing_across_kinds(self):
        net = Empty()
        net.a = 3
        net.a = nn.Linear(1, 1)
        net.a = nn.Parameter(mt.ones(1))
        assert list(net.state_dict()) == ["a"] and not list(net.children())
        net.a = nn.Linear(1, 1)
        assert list(net.state_dict()) == ["a.weight", "a.bias"]
        with pytest.raises(AttributeError, match="nothing"):
            del net.nothing

    def test_what_is_not_registered(self):
        net = Empty()
        net.several = [nn.Linear(1, 1), nn.Parameter(mt.ones(1))]
        net.constant, net.computed = mt.ones(1), mt.ones(1, requires_grad=True) * 2
        assert not list(net.parameters())

    def test_a_module_in_itself(self):
        net, outer = Empty(), Empty()
        outer.middle = nn.Sequential(net)
        for call in (
            lambda: setattr(net, "me", net),
            lambda: setattr(net, "up", outer),
            lambda: outer.middle.add_module("up", outer),
        ):
            with pytest.raises(ValueError, match="cannot be a part of itself"):
                call()
        assert not list(net.children()) and len(outer.middle) == 1
        net.up = [outer]  # no part
        assert len(list(outer.modules())) == 3 and repr(outer)

    def test_shallow_copies(self):
        layer = nn.Linear(1, 1)
        twin = copy.copy(layer)
        assert twin.weight is layer.weight
        twin.weight = nn.Parameter(mt.zeros(1, 1))
        twin.extra = nn.ReLU()
        assert next(layer.parameters()) is layer.weight is not twin.weight and not list(layer.children())

    def test_modes_are_true_or_false(self):
        for mode in ("yes", None, 1, 0, mt.ones(1)):
            with pytest.raises(TypeError, match="mode must be True or False"):
                nn.ReLU().train(mode)


def twice(lib):
    """A module under two names, directly and deeper; and a parameter under two names."""
    shared, block = lib.Linear(2, 2), lib.Sequential(lib.Linear(2, 2))
    model = lib.Sequential(shared, lib.Sequential(block, shared), block, shared)
    model[2][0].weight = shared.weight
    return model


class TestTwoNames:
    def test_like_torch(self):
        ours, theirs = twice(nn), twice(torch.nn)
        assert list(ours.state_dict()) == list(theirs.state_dict())
        for remove_duplicate in (True, False):
            for method in ("named_parameters", "named_modules"):
                names = [
                    [name for name, _ in getattr(model, method)(remove_duplicate=remove_duplicate)]
                    for model in (ours, theirs)
                ]
                assert names[0] == names[1], method
        for method in ("named_parameters", "named_modules"):
            assert [name for name, _ in getattr(ours, method)(prefix="p")] == [
                name for name, _ in getattr(theirs, method)(prefix="p")
            ]
        for method in ("parameters", "modules", "children"):
            assert len(list(getattr(ours, method)())) == len(list(getattr(theirs, method)())), method
        assert [name for name, _ in ours.named_children()] == [name for name, _ in theirs.named_children()]
        assert len(ours) == len(theirs) == len(list(ours)) == 4

    def test_states_travel_both_ways(self):
        ours, theirs = twice(nn), twice(torch.nn)
        ours.load_state_dict(theirs.state_dict())
        for name, value in theirs.state_dict().items():
            np.testing.assert_array_equal(ours.state_dict()[name].numpy(), value.numpy())
        other = twice(torch.nn)
        other.load_state_dict({name: torch.from_dlpack(value) for name, value in ours.state_dict().items()})
        x = np.random.default_rng().standard_normal((3, 2)).astype(np.float32)
        np.testing.assert_allclose(
            ours(mt.tensor(x)).detach().numpy(), other(torch.tensor(x)).detach().numpy(), rtol=1e-5, atol=1e-6
        )

    def test_two_values_for_one_parameter(self):
        """As in torch, the last name wins."""
        ours, theirs = twice(nn), twice(torch.nn)
        state = {name: torch.full_like(value, index) for index, (name, value) in enumerate(theirs.state_dict().items())}
        ours.load_state_dict(state)
        theirs.load_state_dict(state)
        for name, value in theirs.state_dict().items():
            np.testing.assert_array_equal(ours.state_dict()[name].numpy(), value.numpy())

    def test_apply_goes_in_torchs_order(self):
        names = []
        for lib in (nn, torch.nn):
            seen = []
            model = lib.Sequential(lib.ReLU(), lib.Sequential(lib.Linear(1, 1), lib.Flatten()), lib.Linear(1, 1))
            assert model.apply(lambda module, seen=seen: seen.append(type(module).__name__)) is model
            names.append(seen)
        assert names[0] == names[1]

    def test_train_and_apply_reach_each_once(self):
        model, seen = twice(nn), []
        model.eval().apply(seen.append)
        assert len(seen) == len(set(map(id, seen))) == len(list(model.modules())) and not any(m.training for m in seen)


FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.float8_e4m3fn, torch.float8_e5m2]
WHOLES = [torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16]


class Gone:
    """As a tensor of another process, or one that is read from a file when it is asked for."""

    def detach(self):
        raise RuntimeError("its memory was freed")


class TestLoading:
    @pytest.mark.parametrize("device", DEVICES)
    @pytest.mark.parametrize("dtype", FLOATS + WHOLES, ids=str)
    def test_any_dtype_of_torch_is_converted(self, dtype, device):
        values = torch.tensor([[1.0, 0.5], [-3.0, 200.0], [0.0, 7.0]])
        values = values.to(dtype) if dtype in FLOATS else values.abs().to(dtype)
        layer = nn.Linear(2, 3, bias=False).to(device)
        layer.load_state_dict({"weight": values})
        np.testing.assert_array_equal(layer.weight.detach().cpu().numpy(), values.to(torch.float32).numpy())

    def test_values_of_any_origin(self):
        values = np.random.default_rng().standard_normal((3, 2)).astype(np.float32)
        from_torch = torch.tensor(values)
        for value in (
            values,
            values.tolist(),
            np.asfortranarray(values),
            values.astype(">f4"),
            values[::-1][::-1],
            mt.tensor(values),
            mt.tensor(values, requires_grad=True),
            mt.tensor(values).array,
            from_torch,
            from_torch.T.contiguous().T,
            torch.nn.Parameter(from_torch),
            torch.nn.Parameter(from_torch) * 1,
            torch.complex(from_torch, -from_torch).conj().real,
            torch.stack([from_torch, from_torch], 2)[..., 0],
        ):
            layer = nn.Linear(2, 3, bias=False)
            layer.load_state_dict({"weight": value})
            np.testing.assert_array_equal(layer.weight.detach().numpy(), values)
            assert layer.weight.is_leaf and layer.weight.requires_grad
        layer.load_state_dict({"weight": from_torch[:, :1].expand(3, 2)})
        np.testing.assert_array_equal(layer.weight.detach().numpy(), values[:, :1].repeat(2, 1))

    @pytest.mark.parametrize(
        "value",
        [
            None,
            "text",
            b"bytes",
            {"nested": 1},
            nn.ReLU(),
            len,
            [[1.0], [1.0, 2.0]],
            np.ones((3, 2), object),
            np.ones((3, 2), complex),
            np.zeros((3, 2), "M8[s]"),
            torch.ones(3, 2) + 1j,
            torch.ones(3, 2).to_sparse(),
            torch.ones(3, 2, device="meta"),
            Gone(),
        ],
        ids=lambda value: getattr(value, "layout", type(value).__name__).__str__(),
    )
    def test_what_cannot_be_read_is_named_and_nothing_loaded(self, value):
        layer = nn.Linear(2, 3)
        before = layer.weight.tolist(), layer.bias.tolist()
        for strict in (True, False):
            with pytest.raises(RuntimeError, match="unreadable: weight"):
                layer.load_state_dict({"bias": mt.ones(3), "weight": value}, strict=strict)
            assert (layer.weight.tolist(), layer.bias.tolist()) == before

    @pytest.mark.parametrize("shape", [(), (1,), (2, 3), (3, 2, 1), (6,), (0, 2)])
    def test_other_shapes_are_named(self, shape):
        with pytest.raises(RuntimeError, match="shape: weight is"):
            nn.Linear(2, 3, bias=False).load_state_dict({"weight": np.ones(shape)})

    def test_one_number_is_not_an_array_of_one(self):
        net = Empty()
        net.scale, net.row = mt.Parameter(mt.tensor(1.0)), mt.Parameter(mt.ones(1))
        for name, value in (("scale", mt.ones(1)), ("row", mt.tensor(1.0))):
            with pytest.raises(RuntimeError, match=f"shape: {name}"):
                net.load_state_dict({name: value}, strict=False)
        net.load_state_dict({"scale": 3.0, "row": [4.0]})
        assert net.scale.item() == 3 and net.row.tolist() == [4]

    @pytest.mark.parametrize(
        "state",
        [None, nn.Linear(2, 3), torch.nn.Linear(2, 3), "model.safetensors", 5, [("weight", 1)], (), {"weight"}],
        ids=lambda state: type(state).__name__,
    )
    def test_no_dictionary(self, state):
        for strict in (True, False):
            with pytest.raises(TypeError, match="wanted a dict of values by name"):
                nn.Linear(2, 3).load_state_dict(state, strict=strict)

    def test_other_keys(self):
        layer = nn.Linear(2, 3)
        for state in ({"model": layer.state_dict()}, {0: mt.ones(3, 2)}, {None: 1}):
            with pytest.raises(RuntimeError, match="missing: weight"):
                layer.load_state_dict(state)
            assert layer.load_state_dict(state, strict=False) == (["weight", "bias"], list(state))

    def test_its_own_memory(self):
        """A state shares the parameters' memory: loading a swapped one must swap, not copy one over both."""
        model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        state, first, second = model.state_dict(), model[0].weight.tolist(), model[1].weight.tolist()
        model.load_state_dict({**state, "0.weight": state["1.weight"], "1.weight": state["0.weight"]})
        assert model[0].weight.tolist() == second and model[1].weight.tolist() == first

    def test_mt_tensor_of_bfloat16_says_what_to_do(self):
        for dtype in (torch.bfloat16, torch.float8_e4m3fn):
            with pytest.raises(TypeError, match=rf"{str(dtype)[6:]}.*x\.float\(\)"):
                mt.tensor(torch.ones(2).to(dtype))


class TestTo:
    def model(self):
        tied = nn.Linear(2, 2)
        model = nn.Sequential(tied, nn.Linear(2, 2), tied)
        model[1].weight = tied.weight
        model.steps = mt.Parameter(mt.tensor([3]), requires_grad=False)
        return model

    @pytest.mark.parametrize("device", DEVICES)
    def test_torchs_spellings(self, device):
        like = mt.zeros(1, dtype=mt.float64).to(device)
        for args, kwargs, dtype, moved in [
            ((device,), {}, mt.float32, True),
            ((), {"device": device}, mt.float32, True),
            ((mt.float64,), {}, mt.float64, False),
            (("float64",), {}, mt.float64, False),
            ((np.float64,), {}, mt.float64, False),
            ((), {"dtype": mt.float64}, mt.float64, False),
            ((device, mt.float64), {}, mt.float64, True),
            ((device,), {"dtype": mt.float64}, mt.float64, True),
            ((), {"device": device, "dtype": mt.float64}, mt.float64, True),
            ((like,), {}, mt.float64, True),
            ((device, mt.float64, True), {}, mt.float64, True),
            ((device,), {"non_blocking": True}, mt.float32, True),
            ((None, mt.float64), {}, mt.float64, False),
            ((None,), {}, mt.float32, False),
        ]:
            model = self.model()
            before = list(model.parameters())
            for parameter in before:
                parameter.grad = mt.ones_like(parameter)
            values = [parameter.tolist() for parameter in before]
            assert model.to(*args, **kwargs) is model
            after = list(model.parameters())
            assert all(one is other for one, other in zip(before, after, strict=True))
            assert model[0] is model[2] and model[0].weight is model[1].weight
            for parameter, value in zip(after, values, strict=True):
                wanted = mt.int64 if parameter is model.steps else dtype
                for array in (parameter, parameter.grad):
                    assert array.dtype == wanted and array.device == (device if moved else "cpu"), (args, kwargs)
                assert parameter.tolist() == value and parameter.is_leaf and parameter.grad.cpu().min().item() == 1

    @pytest.mark.parametrize("method", ["cpu", "float", "double", "cuda"])
    def test_short_forms(self, method):
        model = self.model()
        if method == "cuda" and not mt.cuda.is_available():
            with pytest.raises(NotImplementedError, match="device 'cuda' is not there"):
                model.cuda()
            return
        assert getattr(model, method)() is model
        wanted = {"double": mt.float64}.get(method, mt.float32)
        assert model[0].weight.dtype == wanted and model[0].weight.device == ("cuda" if method == "cuda" else "cpu")

    @pytest.mark.parametrize(
        ("target", "error", "words"),
        [
            ("gpu", ValueError, "gpu.*cpu.*cuda.*simt"),
            ("CPU", ValueError, "CPU"),
            ("", ValueError, "device ''"),
            ("float16", (ValueError, TypeError), "float16"),
            (mt.int64, TypeError, "float32 or float64, got int64"),
            ("uint8", TypeError, "float32 or float64, got uint8"),
            (np.int32, TypeError, "float32 or float64, got int32"),
            (5, TypeError, "5"),
            (nn.ReLU(), TypeError, "ReLU"),
            ([], TypeError, "list|\\[\\]"),
        ],
        ids=str,
    )
    def test_no_such_place(self, target, error, words):
        """Also for a module without parameters: what is no device is none anywhere."""
        for module in (self.model(), nn.ReLU()):
            with pytest.raises(error, match=words):
                module.to(target)

    @pytest.mark.parametrize("device", DEVICES)
    def test_the_optimiser_goes_on(self, device):
        """Moved and converted between two steps: the velocities follow, and the numbers are those of a twin."""
        results = []
        for move in (False, True):
            mt.manual_seed(3)
            model = nn.Linear(2, 3)
            sgd = mt.optim.SGD(model.parameters(), lr=0.5, momentum=0.5)
            for step in range(4):
                if move and step == 2:
                    model.to(device, mt.float64)
                for parameter in model.parameters():
                    parameter.grad = mt.ones_like(parameter)
                sgd.step()
            results.append([parameter.detach().cpu().numpy() for parameter in model.parameters()])
        for stayed, moved in zip(*results, strict=True):
            np.testing.assert_allclose(moved, stayed, rtol=1e-6)


class Networks:
    """The same networks in both libraries, changed step by step in the same ways."""

    CHANGES = ("module", "shared module", "parameter", "shared parameter", "number", "del")

    def __init__(self, rng):
        self.rng = rng
        self.pairs = [self.new_module() for _ in range(3)]  # (ours, theirs)

    def choose(self, values):
        return values[self.rng.integers(len(values))]

    def new_module(self):
        kind = self.choose(["Linear", "ReLU", "Sequential"])
        return tuple(getattr(lib, kind)(*(1, 1) if kind == "Linear" else ()) for lib in (nn, torch.nn))

    def value(self, change):
        """(ours, theirs) for a change, a new one or one that a network has already."""
        if change == "module":
            self.pairs.append(self.new_module())
            return self.pairs[-1]
        if change == "shared module":
            return self.choose(self.pairs)
        if change == "parameter":
            return nn.Parameter(mt.ones(1)), torch.nn.Parameter(torch.ones(1))
        if change == "shared parameter":
            known = [pair for both in self.pairs for pair in zip(*(net.parameters() for net in both), strict=True)]
            return self.choose(known) if known else self.value("parameter")
        return 3, 3

    def change(self):
        """Changes one attribute of one network; what it did, and for both libraries whether they refused."""
        ours, theirs = self.choose(self.pairs)
        name, change = self.choose(["a", "b", "c", "weight", "bias"]), self.choose(self.CHANGES)
        values = self.value(change)
        if change == "del":
            calls = [lambda: delattr(ours, name), lambda: delattr(theirs, name)]
        elif isinstance(values[0], Module) and any(part is ours for part in values[0].modules()):
            calls = [lambda: setattr(ours, name, values[0])] * 2  # torch takes it, and recurses without end
        elif isinstance(values[0], Module) and name in ours._parameters:
            calls = []  # a parameter becomes a module, in one step here; torch wants a del before
        else:
            calls = [lambda: setattr(ours, name, values[0]), lambda: setattr(theirs, name, values[1])]
        return f"{change} {name}", [self.refuses(call) for call in calls]

    @staticmethod
    def refuses(call):
        try:
            call()
        except (TypeError, ValueError, AttributeError, KeyError):
            return True
        return False

    @staticmethod
    def names(module):
        """All that tells the parts of a network."""
        lists = [list(module.state_dict()), [name for name, _ in module.named_children()]]
        for method in ("named_modules", "named_parameters"):
            for remove_duplicate in (True, False):
                lists.append([name for name, _ in getattr(module, method)(remove_duplicate=remove_duplicate)])
        return lists


@pytest.mark.parametrize("round", range(40))
def test_networks_that_change_have_torchs_names(round, rng):
    """Parts that are set, shared, replaced and deleted in random order: the names are torch's after each change."""
    networks = Networks(rng)
    for _ in range(25):
        change, refused = networks.change()
        print(change, refused)
        assert len(set(refused)) <= 1
        for ours, theirs in networks.pairs:
            assert networks.names(ours) == networks.names(theirs)
    for ours, _ in networks.pairs:
        for twin in (copy.copy(ours), copy.deepcopy(ours), ours.to(mt.float64)):
            assert networks.names(twin) == networks.names(ours)  # what was shared still is
