"""Stochastic gradient descent, with torch's arguments and torch's numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import mytensor_backend as backend

from mytensor._tensor import Tensor, tensor
from mytensor.arguments import as_number, describe

__all__ = ["SGD"]


class SGD:
    """Stochastic gradient descent with momentum. One step, for each parameter p with gradient g (torch's order):

        g = g + weight_decay * p
        v = momentum * v + (1 - dampening) * g          (the first step: v = g)
        p = p - lr * (g + momentum * v if nesterov else v)

    params: parameters, or groups {"params": [...], "lr": ...} whose settings replace the defaults given here.
    All parameters of a group are updated by one call of the backend, if they share dtype and device.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ):
        self.defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
        }
        self.param_groups: list[dict[str, Any]] = []
        # The velocity of each parameter, from its first step with momentum on.
        self.state: dict[Tensor, dict[str, Tensor]] = {}
        if not isinstance(params, Iterable) or isinstance(params, (Tensor, dict, str)):
            raise TypeError(f"SGD: wanted a list of parameters, got {describe(params)}{_hint(params)}")
        entries = list(params)
        if not entries:
            raise ValueError(
                "SGD: got no parameters; does the model have any? (model.parameters() can be used only once)"
            )
        for group in entries if isinstance(entries[0], dict) else [{"params": entries}]:
            self.add_param_group(group)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds {"params": [...]} with settings of its own."""
        if not isinstance(param_group, dict) or "params" not in param_group:
            got = f"a dict of {list(param_group)}" if isinstance(param_group, dict) else describe(param_group)
            raise TypeError(f'SGD: wanted a group {{"params": [...], "lr": ...}}, got {got}')
        group = {**self.defaults, **param_group}
        params = [group["params"]] if isinstance(group["params"], Tensor) else group["params"]
        if not isinstance(params, Iterable) or isinstance(params, (dict, set, str)):
            raise TypeError(f'SGD: "params" must be a list of parameters, got {describe(params)}{_hint(params)}')
        group["params"] = list(params)
        unknown = set(group) - set(self.defaults) - {"params", "initial_lr"}
        if unknown:
            raise TypeError(f"SGD: unknown settings {sorted(unknown)}; known are {sorted(self.defaults)}")
        _check_settings(group)
        known = {id(parameter) for other in self.param_groups for parameter in other["params"]}
        for parameter in group["params"]:
            if not isinstance(parameter, Tensor):
                raise TypeError(f"SGD: parameters must be Tensors, got {describe(parameter)}{_hint(parameter)}")
            if not parameter.is_leaf or not parameter.is_floating_point():
                raise ValueError(
                    "SGD: only floating leaf tensors can be optimised, not computed ones; use the model's parameters"
                )
            if parameter._part is not None:  # a step writes the array alone, and would not reach the other tensor
                raise ValueError("SGD: a part of another tensor (an index, .T ...) cannot be optimised; use a .clone()")
            if id(parameter) in known:
                raise ValueError("SGD: a parameter appears twice; each may be updated only once a step")
            known.add(id(parameter))
        self.param_groups.append(group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clears the gradients, which backward otherwise adds to."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if set_to_none:
                    parameter.grad = None
                elif parameter.grad is not None:
                    parameter.grad.detach().zero_()

    def step(self) -> None:
        """Updates every parameter that has a gradient."""
        for group in self.param_groups:
            with_gradient = [parameter for parameter in group["params"] if parameter.grad is not None]
            if group["momentum"] == 0:
                self._update(group, with_gradient, first_step=True)
                continue
            moving = [parameter for parameter in with_gradient if parameter in self.state]
            starting = [parameter for parameter in with_gradient if parameter not in self.state]
            for parameter in starting:
                self.state[parameter] = {
                    "momentum_buffer": Tensor(backend.full(parameter.shape, 0.0, parameter.dtype, parameter.device))
                }
            self._update(group, moving, first_step=False)
            self._update(group, starting, first_step=True)

    def _update(self, group: dict[str, Any], parameters: list[Tensor], first_step: bool) -> None:
        """Updates the parameters by one call of the backend, or by one for each dtype and device among them."""
        try:
            return self._update_alike(group, parameters, first_step)
        except (TypeError, ValueError):
            pass  # nothing was written: the backend checks first. The cause may be what users change between steps.
        _check_settings(group)
        alike: dict[Any, list[Tensor]] = {}
        for parameter in parameters:
            if group["momentum"] != 0:
                entry = self.state[parameter]  # velocities follow what Module.to has moved or converted
                entry["momentum_buffer"] = entry["momentum_buffer"].to(parameter.device, parameter.dtype)
            alike.setdefault((parameter.device, parameter.dtype), []).append(parameter)
        for part in alike.values():
            self._update_alike(group, part, first_step)

    def _update_alike(self, group: dict[str, Any], parameters: list[Tensor], first_step: bool) -> None:
        if parameters:
            has_velocities = group["momentum"] != 0
            backend.sgd_step_(
                [parameter.array for parameter in parameters],
                [parameter.grad.array for parameter in parameters if parameter.grad is not None],
                [self.state[parameter]["momentum_buffer"].array for parameter in parameters] if has_velocities else [],
                group["lr"],
                group["momentum"],
                group["dampening"],
                group["weight_decay"],
                group["nesterov"],
                first_step,
            )

    def state_dict(self) -> dict[str, Any]:
        """{"state": {number: {"momentum_buffer": Tensor}}, "param_groups": [...]}, parameters by number, as torch."""
        numbers = {parameter: number for number, parameter in enumerate(self._parameters())}
        return {
            "state": {numbers[parameter]: dict(entry) for parameter, entry in self.state.items()},
            "param_groups": [
                {**group, "params": [numbers[parameter] for parameter in group["params"]]}
                for group in self.param_groups
            ],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continues from what state_dict returned (velocities are copied). ValueError: groups or shapes differ."""
        saved_groups = state_dict["param_groups"]
        if [len(group["params"]) for group in saved_groups] != [len(group["params"]) for group in self.param_groups]:
            raise ValueError("SGD: the saved state has other parameter groups than this optimiser")
        parameters = self._parameters()
        saved_numbers = [number for group in saved_groups for number in group["params"]]
        by_number = dict(zip(saved_numbers, parameters, strict=True))
        state = {}
        for number, entry in state_dict["state"].items():
            velocity = entry.get("momentum_buffer")
            if velocity is None:
                continue
            if int(number) not in by_number:
                raise ValueError(f"SGD: the saved state has a velocity {number}, but no parameter of this number")
            parameter = by_number[int(number)]
            if tuple(velocity.shape) != parameter.shape:
                raise ValueError(
                    f"SGD: velocity {number} has shape {tuple(velocity.shape)}, but its parameter has {parameter.shape}"
                )
            state[parameter] = {"momentum_buffer": tensor(velocity, dtype=parameter.dtype, device=parameter.device)}
        settings = [
            {name: value for name, value in saved.items() if name in self.defaults or name == "initial_lr"}
            for saved in saved_groups
        ]
        for group, saved in zip(self.param_groups, settings, strict=True):
            _check_settings({**group, **saved})
        self.state = state
        for group, saved in zip(self.param_groups, settings, strict=True):
            group.pop("initial_lr", None)  # the start of a schedule belongs to the saved run, if it had one
            group.update(saved)

    def _parameters(self) -> list[Tensor]:
        return [parameter for group in self.param_groups for parameter in group["params"]]

    def __repr__(self) -> str:
        groups = "; ".join(", ".join(f"{name}={group[name]}" for name in self.defaults) for group in self.param_groups)
        return f"SGD({groups})"


def _check_settings(group: dict[str, Any]) -> None:
    """A group's settings become Python's numbers, or an error says why they cannot."""
    for name in ("lr", "momentum", "dampening", "weight_decay"):
        group[name] = as_number(group[name], f"SGD: {name}")
        if name != "dampening" and not group[name] >= 0:
            raise ValueError(f"SGD: {name} must not be negative, got {group[name]}")
    group["nesterov"] = bool(group["nesterov"])
    if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
        raise ValueError("SGD: nesterov=True wants momentum > 0 and dampening = 0")


def _hint(value: Any) -> str:
    """What to write instead of something that is no parameter, or no list of them."""
    if hasattr(value, "parameters"):
        return "; hand over its .parameters()"
    if isinstance(value, Tensor):
        return "; write [tensor]"
    if isinstance(value, dict):
        return '; groups go into a list: [{"params": ...}]'
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], Tensor):
        return "; .parameters() gives them without names"
    return ""
