"""Module: a piece of a network that knows its parameters and the pieces it is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from mytensor.autograd import HookHandle, no_grad
from mytensor.tensor import Parameter, Tensor, as_dtype, tensor


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

    # -----------------------------------------------------------------------------------------------------------------
    # Computing
    # -----------------------------------------------------------------------------------------------------------------

    def forward(self, *inputs):
        """What the module computes; every subclass gives its own."""
        raise NotImplementedError(f"{type(self).__name__} needs a method forward(self, x) that computes its output")

    def __call__(self, *inputs, **kwargs):
        # Hooks that are added or removed meanwhile count from the next call on.
        for hook in tuple(self._forward_pre_hooks.values()):
            replacement = hook(self, inputs)
            if replacement is not None:
                inputs = replacement if isinstance(replacement, tuple) else (replacement,)
        output = self.forward(*inputs, **kwargs)
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
        if is_parameter or isinstance(value, Module):
            if callable(getattr(type(self), name, None)):
                raise TypeError(
                    f"{type(self).__name__}.{name} is a method; give the {type(value).__name__} another name"
                )
            self._forget(name)
            (self._parameters if is_parameter else self._modules)[name] = value
            object.__setattr__(self, name, value)
        elif value is None and name in self._parameters:
            del self._parameters[name]
            object.__setattr__(self, name, None)
        elif name in self._parameters or name in self._modules:
            kind = "parameter" if name in self._parameters else "module"
            raise TypeError(
                f"{type(self).__name__}.{name} is a {kind} and cannot become a {type(value).__name__}; `del` it first"
            )
        else:
            object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        self._forget(name)
        object.__delattr__(self, name)

    def _forget(self, name: str) -> None:
        """Takes a name off the registers, which say what an attribute is; the attribute itself stays."""
        self._parameters.pop(name, None)
        self._modules.pop(name, None)

    # -----------------------------------------------------------------------------------------------------------------
    # Parts and parameters
    # -----------------------------------------------------------------------------------------------------------------

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """(dotted name, module) of this module and all below it, each module once."""
        seen: set[int] = set()
        stack: list[tuple[str, Module]] = [(prefix, self)]
        while stack:
            name, module = stack.pop()
            if id(module) in seen:
                continue
            seen.add(id(module))
            yield name, module
            children = [(f"{name}.{child}" if name else child, part) for child, part in module._modules.items()]
            stack.extend(reversed(children))

    def modules(self) -> Iterator[Module]:
        """This module and all below it."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """(name, module) of the parts directly below."""
        return iter(self._modules.items())

    def children(self) -> Iterator[Module]:
        """The parts directly below."""
        return iter(self._modules.values())

    def named_parameters(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Tensor]]:
        """(dotted name, parameter), each parameter once even if two layers share it."""
        seen: set[int] = set()
        for name, parameter in self._all_parameters(prefix, recurse):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                yield name, parameter

    def _all_parameters(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Tensor]]:
        modules = self.named_modules(prefix) if recurse else iter([(prefix, self)])
        for module_name, module in modules:
            for name, parameter in module._parameters.items():
                yield (f"{module_name}.{name}" if module_name else name), parameter

    def parameters(self, recurse: bool = True) -> Iterator[Tensor]:
        """The parameters of this module and all below it: what an optimiser updates."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def apply(self, function: Callable[[Module], None]) -> Module:
        """Calls function(module) for all modules below and then for this one; returns this module."""
        for module in reversed(list(self.modules())):
            function(module)
        return self

    def train(self, mode: bool = True) -> Module:
        """Switches to training mode (`self.training`); returns the module."""
        for module in self.modules():
            module.__dict__["training"] = bool(mode)
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

    def to(self, target) -> Module:
        """Converts all parameters to a floating dtype, or moves them to a device ("cpu", "cuda", "simt"); returns the
        module."""
        if target not in ("cpu", "cuda", "simt") and not as_dtype(target).is_floating:
            raise TypeError(f"Module.to: parameters must be float32 or float64, got {as_dtype(target).name}")
        for parameter in self.parameters():
            parameter.array = parameter.detach().to(target).array
            if parameter.grad is not None:
                parameter.grad = parameter.grad.to(target)
        return self

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
        """{dotted name: values} of all parameters. They share the parameters' memory: clone what must not change."""
        return {name: parameter.detach() for name, parameter in self._all_parameters()}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Copies values into the parameters by name.

        The values may be our tensors, numpy arrays, or anything that speaks DLPack, such as torch's tensors.
        strict: every name must be there, and none besides; else the differences are only returned.
        RuntimeError: lists everything that does not fit, and nothing is loaded.
        """
        own = dict(self._all_parameters())
        missing = [name for name in own if name not in state_dict]
        unexpected = [name for name in state_dict if name not in own]
        problems = [f"missing: {name} {own[name].shape}" for name in missing] if strict else []
        problems += [f"unexpected: {name}" for name in unexpected] if strict else []
        loaded = {}
        for name, parameter in own.items():
            if name in missing:
                continue
            try:
                loaded[name] = tensor(_without_graph(state_dict[name]), dtype=parameter.dtype)
            except (TypeError, ValueError, BufferError) as error:
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


def _without_graph(value):
    """A torch Parameter gives its values only when cut off from torch's graph; ours are read as they are."""
    if isinstance(value, (Tensor, np.ndarray)) or not hasattr(value, "detach"):
        return value
    return value.detach()
