"""Module: a piece of a network that knows its parameters and the pieces it is made of."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from mytensor._tensor import Parameter, Tensor, parse_to_arguments, tensor
from mytensor.arguments import describe
from mytensor.autograd import HookHandle, no_grad

# What __new__ puts into every module; no part may take these names.
_OWN_STATE = ("training", "_parameters", "_modules", "_forward_hooks", "_forward_pre_hooks")


class Module:
    """Base class of layers and networks. A subclass makes its parameters and parts in __init__ and computes in forward:

        class Net(Module):
            def __init__(self):
                self.hidden = Linear(784, 100)
                self.output = Linear(100, 10)

            def forward(self, x):
                return self.output(F.relu(self.hidden(x)))

    Attributes that are Parameters, Modules, or leaf Tensors with requires_grad=True are registered under their name, so
    that parameters(), state_dict() and the optimisers find them. Calling super().__init__() is allowed but not needed.
    """

    training: bool
    _parameters: dict[str, Tensor]
    _modules: dict[str, Module]
    _forward_hooks: dict[int, Callable]  # registration number -> hook
    _forward_pre_hooks: dict[int, Callable]

    def __new__(cls, *args, **kwargs):
        # Here and not in __init__, so that a subclass that does not call super().__init__() works all the same.
        module = super().__new__(cls)
        state = module.__dict__
        state["training"] = True
        state["_parameters"] = {}
        state["_modules"] = {}
        state["_forward_hooks"] = {}
        state["_forward_pre_hooks"] = {}
        return module

    def __init__(self, *args, **kwargs):
        # For a class without an __init__ of its own, and by super().__init__(...): neither may swallow arguments.
        if (args or kwargs) and type(self).__mro__[-2] is Module:
            raise TypeError(self._unwanted_arguments(args, kwargs))
        super().__init__(*args, **kwargs)  # another base class beside Module, if there is one

    def _unwanted_arguments(self, args: tuple, kwargs: dict[str, Any]) -> str:
        given = ", ".join([describe(value) for value in args] + [f"{key}={describe(kwargs[key])}" for key in kwargs])
        owner = type(self).__name__
        if type(self).__init__ is not Module.__init__:
            return f"{owner}: Module.__init__ takes no arguments, got {given}; write super().__init__()"
        misspelt = _near("__init__", self)
        remedy = f"rename {owner}.{misspelt} to __init__" if misspelt else "give the class an __init__ that takes them"
        return f"{owner} has no method __init__ of its own and takes no arguments, got {given}; {remedy}"

    # -----------------------------------------------------------------------------------------------------------------
    # Computing
    # -----------------------------------------------------------------------------------------------------------------

    def forward(self, *inputs, **kwargs):
        """What the module computes; every subclass gives its own."""
        misspelt = _near("forward", self)
        hint = f" (is {misspelt} a misspelt forward?)" if misspelt else ""
        raise NotImplementedError(
            f"{type(self).__name__} needs a method forward(self, x) that computes its output{hint}"
        )

    def __call__(self, *inputs, **kwargs):
        if self._forward_pre_hooks:
            # Hooks that are added or removed meanwhile count from the next call on.
            for hook in tuple(self._forward_pre_hooks.values()):
                replacement = hook(self, inputs)
                if replacement is not None:
                    inputs = replacement if isinstance(replacement, tuple) else (replacement,)
        output = self.forward(*inputs, **kwargs)
        if self._forward_hooks:
            for hook in tuple(self._forward_hooks.values()):
                replacement = hook(self, inputs, output)
                if replacement is not None:
                    output = replacement
        return output

    def register_forward_hook(self, hook: Callable) -> HookHandle:
        """Calls hook(module, inputs, output) after every forward; what it returns (if not None) replaces the output."""
        return HookHandle(self._forward_hooks, hook)

    def register_forward_pre_hook(self, hook: Callable) -> HookHandle:
        """Calls hook(module, inputs) before every forward; what it returns (if not None) replaces the inputs."""
        return HookHandle(self._forward_pre_hooks, hook)

    # -----------------------------------------------------------------------------------------------------------------
    # Attributes
    # -----------------------------------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        is_parameter = isinstance(value, Parameter) or (
            isinstance(value, Tensor) and value.requires_grad and value.is_leaf
        )
        is_part = is_parameter or isinstance(value, Module)
        if is_part and not isinstance(self._of_class(name), property):  # a property's setter decides what becomes of it
            self._check_part(name, value)
            object.__setattr__(self, name, value)  # first: where it fails, nothing is registered
            register, other = (self._parameters, self._modules) if is_parameter else (self._modules, self._parameters)
            other.pop(name, None)
            register[name] = value  # what replaces a part takes its place in the order
        elif name not in self._parameters and name not in self._modules:
            object.__setattr__(self, name, value)
        elif value is None:
            self._forget(name)
            object.__setattr__(self, name, None)
        elif value is not getattr(self, name):  # `module.weight *= 2` assigns what is there already
            kind = "parameter" if name in self._parameters else "module"
            raise TypeError(
                f"{type(self).__name__}.{name} is a {kind} and cannot become a {type(value).__name__}; `del` it first"
            )

    def _of_class(self, name: str) -> Any:
        """What the class itself, or one it is made from, has under a name: a method, a property, a constant."""
        return next((vars(base)[name] for base in type(self).__mro__ if name in vars(base)), None)

    def _check_part(self, name: str, value: Tensor | Module) -> None:
        """Raises where a parameter or module cannot have this name, or cannot be a part of this module."""
        owner, kind = type(self).__name__, type(value).__name__
        if not isinstance(name, str):
            raise TypeError(f"{owner}: the name of a {kind} must be a string, got {describe(name)}")
        if name == "" or "." in name:
            raise ValueError(
                f"{owner}: a {kind} cannot be named {name!r}; a name must not be empty and must have no dot, "
                "because state_dict joins names with dots"
            )
        if name in _OWN_STATE:
            raise TypeError(f"{owner}.{name} belongs to Module itself; give the {kind} another name")
        of_class = self._of_class(name)
        if callable(getattr(of_class, "__func__", of_class)):
            raise TypeError(f"{owner}.{name} is a method of the class; give the {kind} another name")
        if isinstance(value, Module) and any(part is self for part in value.modules()):
            raise ValueError(
                f"{owner}.{name}: a module cannot be a part of itself, and this {kind} is or holds the {owner}; a link "
                "back that is no part can be kept in a list: [module]"
            )

    def __delattr__(self, name: str) -> None:
        self._forget(name)
        object.__delattr__(self, name)

    def _forget(self, name: str) -> None:
        """Takes a name off the registers, which say what an attribute is; the attribute itself stays."""
        self._parameters.pop(name, None)
        self._modules.pop(name, None)

    def __copy__(self) -> Module:
        """A shallow copy: the same parameters and parts, but registers of its own."""
        twin = type(self).__new__(type(self))
        for name, value in self.__dict__.items():
            twin.__dict__[name] = copy.copy(value) if name in _OWN_STATE else value
        return twin

    def add_module(self, name: str, module: Module | None) -> None:
        """setattr(self, name, module), for a name that is computed; refuses a name that is taken and what is no
        Module."""
        self._add(name, module, self._modules, Module)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """setattr(self, name, param), for a name that is computed; refuses a name that is taken and what is no
        Parameter."""
        self._add(name, param, self._parameters, Parameter)

    def _add(self, name: str, value: Any, register: dict, wanted: type[Module] | type[Parameter]) -> None:
        if not isinstance(value, (wanted, type(None))):
            raise TypeError(f"{type(self).__name__}: {name} must be a {wanted.__name__} or None, got {describe(value)}")
        if isinstance(name, str) and getattr(self, name, None) is not None and name not in register:
            raise TypeError(f"{type(self).__name__}.{name} is there already; give the {wanted.__name__} another name")
        if value is not None:
            self._check_part(name, value)
        setattr(self, name, value)

    # -----------------------------------------------------------------------------------------------------------------
    # Parts and parameters
    # -----------------------------------------------------------------------------------------------------------------

    def named_modules(self, prefix: str = "", remove_duplicate: bool = True) -> Iterator[tuple[str, Module]]:
        """(dotted name, module) of this module and all below it. A module with several names comes once, under the
        first; remove_duplicate=False: under each."""
        seen: set[int] = set()
        stack: list[tuple[str, Module]] = [(prefix, self)]
        while stack:
            name, module = stack.pop()
            if remove_duplicate and id(module) in seen:
                continue
            seen.add(id(module))
            yield name, module
            children = [(f"{name}.{child}" if name else child, part) for child, part in module._modules.items()]
            stack.extend(reversed(children))

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """(name, module) of the parts directly below, each once."""
        seen: set[int] = set()
        for name, module in self._modules.items():
            if id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def children(self) -> Iterator[Module]:
        """The parts directly below, each once."""
        return (module for _, module in self.named_children())

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """(dotted name, parameter). A parameter with several names comes once, under the first, even if two layers
        share it; remove_duplicate=False: under each."""
        modules = self.named_modules(prefix, remove_duplicate) if recurse else iter([(prefix, self)])
        seen: set[int] = set()
        for module_name, module in modules:
            for name, parameter in module._parameters.items():
                if remove_duplicate and id(parameter) in seen:
                    continue
                seen.add(id(parameter))
                yield (f"{module_name}.{name}" if module_name else name), parameter

    def parameters(self, recurse: bool = True) -> Iterator[Tensor]:
        """The parameters of this module and all below it, each once: what an optimiser updates."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def apply(self, function: Callable[[Module], None]) -> Module:
        """Calls function(module) for all modules below and then for this one, each once; returns this module."""
        seen: set[int] = set()

        def visit(module: Module) -> None:
            if id(module) not in seen:
                seen.add(id(module))
                for child in module.children():
                    visit(child)
                function(module)

        visit(self)
        return self

    def train(self, mode: bool = True) -> Module:
        """Switches to training mode (`self.training`); returns the module."""
        if not isinstance(mode, bool):
            raise TypeError(f"Module.train: mode must be True or False, got {describe(mode)}")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Module:
        """Switches to evaluation mode; returns the module."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        """Switches the gradients of all parameters on or off (a frozen part does not learn); returns the module."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clears the gradients of all parameters, which backward otherwise adds to."""
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad.detach().zero_()

    def to(self, *args, **kwargs) -> Module:
        """Converts all parameters to a floating dtype, or moves them to a device ("cpu", "cuda", "simt"), or both;
        gradients go with them. Returns the module. Arguments: those of Tensor.to.

        The parameters stay the same objects, so an optimiser goes on with them. Integer ones keep their dtype.
        """
        device, dtype, non_blocking = parse_to_arguments(args, kwargs)
        if dtype is not None and not dtype.is_floating:
            raise TypeError(f"Module.to: parameters must be float32 or float64, got {dtype.name}")
        for parameter in self.parameters():
            place = (device, dtype if parameter.is_floating_point() else None, non_blocking)
            grad = None if parameter.grad is None else parameter.grad.to(*place)
            parameter.array = parameter.detach().to(*place).array
            parameter.grad = grad
        return self

    def cpu(self) -> Module:
        """Moves all parameters to the CPU."""
        return self.to("cpu")

    def cuda(self) -> Module:
        """Moves all parameters to the GPU."""
        return self.to("cuda")

    def float(self) -> Module:
        """Converts all parameters to float32."""
        return self.to("float32")

    def double(self) -> Module:
        """Converts all parameters to float64."""
        return self.to("float64")

    # -----------------------------------------------------------------------------------------------------------------
    # Saving and loading
    # -----------------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Tensor]:
        """{dotted name: values} of all parameters, each under all its names. They share the parameters' memory: clone
        what must not change."""
        return {name: parameter.detach() for name, parameter in self.named_parameters(remove_duplicate=False)}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Copies values into the parameters by name.

        The values may be our tensors, numpy arrays, or anything that speaks DLPack, such as torch's tensors. They are
        converted to the parameters' dtype.
        strict: every name must be there, and none besides; else the differences are only returned.
        RuntimeError: lists everything that does not fit, and nothing is loaded. TypeError: state_dict is no dict.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(
                "load_state_dict: wanted a dict of values by name, as a module's state_dict() returns it, got "
                f"{describe(state_dict)}"
            )
        own = dict(self.named_parameters(remove_duplicate=False))
        missing = [name for name in own if name not in state_dict]
        unexpected = [name for name in state_dict if name not in own]
        problems = [f"missing: {name} {own[name].shape}" for name in missing] if strict else []
        problems += [f"unexpected: {name}" for name in unexpected] if strict else []
        loaded = {}
        for name, parameter in own.items():
            if name in missing:
                continue
            try:
                loaded[name] = tensor(_readable(state_dict[name]), dtype=parameter.dtype)
            except (TypeError, ValueError, BufferError, RuntimeError) as error:
                problems.append(f"unreadable: {name} ({error})")
                continue
            if loaded[name].shape != parameter.shape:
                problems.append(f"shape: {name} is {loaded[name].shape} in the state, {parameter.shape} in the module")
        if problems:
            raise RuntimeError(
                f"load_state_dict: the state does not fit {type(self).__name__}:\n  " + "\n  ".join(problems)
            )
        with no_grad():
            for name, values in loaded.items():
                own[name].copy_(values)
        return IncompatibleKeys(missing, unexpected)

    # -----------------------------------------------------------------------------------------------------------------
    # Showing
    # -----------------------------------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What repr shows between the brackets of a module without parts."""
        return ""

    def __repr__(self) -> str:
        if not self._modules:
            return f"{type(self).__name__}({self.extra_repr()})"
        lines = [f"({name}): {module!r}".replace("\n", "\n  ") for name, module in self._modules.items()]
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + "\n)"


class IncompatibleKeys(NamedTuple):
    """What load_state_dict(strict=False) found to differ."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def _readable(value):
    """A torch tensor as numpy can read it; anything else as it is.

    torch hands out values only when they are cut off from its graph, and numpy knows no bfloat16 or float8: float32
    holds all of those exactly.
    """
    if isinstance(value, (Tensor, np.ndarray)) or not hasattr(value, "detach"):
        return value
    value = value.detach()
    return value.float() if value.is_floating_point() and value.element_size() < 4 else value


def _near(name: str, module: Module) -> str | None:
    """A method of the module's class, or of one between it and Module, whose name looks like `name` misspelt."""
    import difflib

    bases = type(module).__mro__[: type(module).__mro__.index(Module)]
    methods = {key.strip("_"): key for base in bases for key, value in base.__dict__.items() if callable(value)}
    match = difflib.get_close_matches(name.strip("_"), methods, n=1, cutoff=0.75)
    return methods[match[0]] if match else None
