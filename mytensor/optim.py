"""Stochastic gradient descent, with torch's arguments and torch's numbers. Schedules: `mt.optim.lr_scheduler`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import mytensor_backend as backend

from mytensor import lr_scheduler
from mytensor.tensor import Tensor, tensor

__all__ = ["SGD", "lr_scheduler"]


class SGD:
    """Stochastic gradient descent with momentum. One step, for each parameter p with gradient g (torch's order):

        g = g + weight_decay * p
        v = momentum * v + (1 - dampening) * g          (the first step: v = g)
        p = p - lr * (g + momentum * v if nesterov else v)

    params: parameters, or groups {"params": [...], "lr": ...} whose settings replace the defaults given here.
    All parameters of a group are updated by one call of the backend.
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
        if isinstance(params, Tensor):
            raise TypeError("SGD: wanted a list of parameters, got a single Tensor; write [tensor]")
        entries = list(params)
        if not entries:
            raise ValueError(
                "SGD: got no parameters; does the model have any? (model.parameters() can be used only once)"
            )
        for group in entries if isinstance(entries[0], dict) else [{"params": entries}]:
            self.add_param_group(group)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds {"params": [...]} with settings of its own."""
        group = {**self.defaults, **param_group}
        params = group["params"]
        group["params"] = [params] if isinstance(params, Tensor) else list(params)
        unknown = set(group) - set(self.defaults) - {"params", "initial_lr"}
        if unknown:
            raise TypeError(f"SGD: unknown settings {sorted(unknown)}; known are {sorted(self.defaults)}")
        for name in ("lr", "momentum", "weight_decay"):
            if not group[name] >= 0:
                raise ValueError(f"SGD: {name} must not be negative, got {group[name]}")
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError("SGD: nesterov=True wants momentum > 0 and dampening = 0")
        known = {id(parameter) for other in self.param_groups for parameter in other["params"]}
        for parameter in group["params"]:
            if not isinstance(parameter, Tensor):
                raise TypeError(f"SGD: parameters must be Tensors, got {type(parameter).__name__}")
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
                    parameter.grad.zero_()

    def step(self) -> None:
        """Updates every parameter that has a gradient."""
        for group in self.param_groups:
            with_gradient = [parameter for parameter in group["params"] if parameter.grad is not None]
            if group["momentum"] == 0:
                self._update(group, with_gradient, [], first_step=True)
                continue
            moving = [parameter for parameter in with_gradient if parameter in self.state]
            starting = [parameter for parameter in with_gradient if parameter not in self.state]
            for parameter in starting:
                self.state[parameter] = {
                    "momentum_buffer": Tensor(backend.full(parameter.shape, 0.0, parameter.dtype, parameter.device))
                }
            for parameters, first_step in ((moving, False), (starting, True)):
                velocities = [self.state[parameter]["momentum_buffer"].array for parameter in parameters]
                self._update(group, parameters, velocities, first_step)

    @staticmethod
    def _update(group: dict[str, Any], parameters: list[Tensor], velocities: list, first_step: bool) -> None:
        if parameters:
            backend.sgd_step_(
                [parameter.array for parameter in parameters],
                [parameter.grad.array for parameter in parameters if parameter.grad is not None],
                velocities,
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
            parameter, velocity = by_number[int(number)], entry.get("momentum_buffer")
            if velocity is None:
                continue
            if tuple(velocity.shape) != parameter.shape:
                raise ValueError(
                    f"SGD: velocity {number} has shape {tuple(velocity.shape)}, but its parameter has {parameter.shape}"
                )
            state[parameter] = {"momentum_buffer": tensor(velocity, dtype=parameter.dtype, device=parameter.device)}
        self.state = state
        for group, saved in zip(self.param_groups, saved_groups, strict=True):
            group.update(
                {name: value for name, value in saved.items() if name in self.defaults or name == "initial_lr"}
            )

    def _parameters(self) -> list[Tensor]:
        return [parameter for group in self.param_groups for parameter in group["params"]]

    def __repr__(self) -> str:
        groups = "; ".join(", ".join(f"{name}={group[name]}" for name in self.defaults) for group in self.param_groups)
        return f"SGD({groups})"
