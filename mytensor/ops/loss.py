"""Losses for classification. Targets are class numbers (int64)."""

from __future__ import annotations

import mytensor_backend as backend

from mytensor._tensor import Tensor
from mytensor.autograd import Function


class NLLLoss(Function):
    """loss_n = -weight[t_n] * log_probabilities[n, t_n]; "mean" divides the sum by the sum of the weights."""

    @staticmethod
    def forward(ctx, log_probabilities, target, weight, reduction, ignore_index):
        loss, total_weight = backend.nll_loss(log_probabilities, target, weight, reduction, ignore_index)
        ctx.shape = log_probabilities.shape
        ctx.options = reduction, ignore_index
        ctx.save_for_backward(target, weight, total_weight)
        ctx.mark_non_differentiable(total_weight)
        return loss, total_weight

    @staticmethod
    def backward(ctx, upstream, *_):
        target, weight, total_weight = ctx.saved
        reduction, ignore_index = ctx.options
        return backend.nll_loss_backward(upstream, target, ctx.shape, weight, reduction, ignore_index, total_weight)


class CrossEntropy(Function):
    """loss_n = log sum_c exp(x[n, c]) - x[n, t_n] (times weight[t_n]; label smoothing mixes in the mean over all
    classes).

    Its derivative by the logits is the softmax minus the one-hot target.
    """

    @staticmethod
    def forward(ctx, logits, target, weight, reduction, ignore_index, label_smoothing):
        loss, log_sum_exp, total_weight = backend.cross_entropy(
            logits, target, weight, reduction, ignore_index, label_smoothing
        )
        ctx.options = reduction, ignore_index, label_smoothing
        ctx.save_for_backward(logits, target, log_sum_exp, total_weight, weight)
        ctx.mark_non_differentiable(log_sum_exp, total_weight)
        return loss, log_sum_exp, total_weight

    @staticmethod
    def backward(ctx, upstream, *_):
        logits, target, log_sum_exp, total_weight, weight = ctx.saved
        return backend.cross_entropy_backward(upstream, logits, target, log_sum_exp, total_weight, weight, *ctx.options)


def nll_loss(
    log_probabilities: Tensor, target: Tensor, weight: Tensor | None = None, reduction="mean", ignore_index=-100
) -> tuple[Tensor, Tensor]:
    """(loss, sum of the weights) for log-probabilities (N, C, ...) and classes (N, ...)."""
    return NLLLoss.apply(log_probabilities, target, weight, reduction, ignore_index)


def cross_entropy(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction="mean",
    ignore_index=-100,
    label_smoothing=0.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """(loss, log-sum-exp, sum of the weights) for logits (N, C, ...) and classes (N, ...)."""
    return CrossEntropy.apply(logits, target, weight, reduction, ignore_index, label_smoothing)
