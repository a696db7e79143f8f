// The softmax family and the losses built on it.
#include "../ops/softmax.h"

#include "../ops/cross_entropy.h"
#include "../ops/nll_loss.h"
#include "bindings.h"

namespace mt {

void bind_softmax(py::module_& m) {
    def_op(m, "softmax", &softmax, "exp(x) / sum of exp(x) along dim. x: any shape, float32 or float64.", py::arg("x"),
           py::arg("dim"));
    def_op(
        m, "softmax_backward", &softmax_backward,
        "The gradient of softmax's input: output * (upstream - sum of upstream * output along dim). All of one shape.",
        py::arg("upstream"), py::arg("output"), py::arg("dim"));
    def_op(m, "log_softmax", &log_softmax, "x - log(sum of exp(x)) along dim. x: any shape, float32 or float64.",
           py::arg("x"), py::arg("dim"));
    def_op(
        m, "log_softmax_backward", &log_softmax_backward,
        "The gradient of log_softmax's input: upstream - exp(output) * (sum of upstream along dim). All of one shape.",
        py::arg("upstream"), py::arg("output"), py::arg("dim"));
    def_op(m, "logsumexp", &logsumexp,
           "log(sum of exp(x)) over dims, a list. "
           "x: any shape, float32 or float64. Returns x's shape, where dims are 1 with keepdim and gone without.",
           py::arg("x"), py::arg("dims"), py::arg("keepdim") = false);
    def_op(m, "nll_loss", &nll_loss,
           "Negative log-likelihood: "
           "-weight[target[n]] * log_probabilities[n, target[n]], 0 where target is ignore_index.\n\n"
           "log_probabilities: (N, C, ...). target: int64 (N, ...). weight: (C,). "
           "Returns the loss, (N, ...) for reduction 'none', () for 'mean' and 'sum',\n"
           "and total_weight (), by which 'mean' divides. IndexError for a label that is no class.",
           py::arg("log_probabilities"), py::arg("target"), py::arg("weight") = py::none(),
           py::arg("reduction") = "mean", py::arg("ignore_index") = -100);
    def_op(m, "nll_loss_backward", &nll_loss_backward,
           "The gradient of nll_loss's log_probabilities, of input_shape (N, C, ...). "
           "upstream: the loss's shape. The others: as in nll_loss.",
           py::arg("upstream"), py::arg("target"), py::arg("input_shape"), py::arg("weight"), py::arg("reduction"),
           py::arg("ignore_index"), py::arg("total_weight"));
    def_op(m, "cross_entropy", &cross_entropy,
           "Cross entropy: log(sum over c of exp(logits[n, c])) - logits[n, target[n]], times weight[target[n]]; "
           "0 where target is ignore_index.\n\n"
           "logits: (N, C, ...). target: int64 (N, ...). weight: (C,). "
           "label_smoothing: the share of the target that is spread over all classes.\n"
           "Returns the loss, (N, ...) for reduction 'none', () for 'mean' and 'sum'; "
           "log_sum_exp (N, ...); total_weight (), by which 'mean' divides.\n"
           "IndexError for a label that is no class.",
           py::arg("logits"), py::arg("target"), py::arg("weight") = py::none(), py::arg("reduction") = "mean",
           py::arg("ignore_index") = -100, py::arg("label_smoothing") = 0.0);
    def_op(m, "cross_entropy_backward", &cross_entropy_backward,
           "The gradient of cross_entropy's logits (N, C, ...): "
           "softmax minus the one-hot target, weighted and smoothed.\n\n"
           "upstream: the loss's shape. log_sum_exp, total_weight: what cross_entropy returned. "
           "The others: as in cross_entropy.",
           py::arg("upstream"), py::arg("logits"), py::arg("target"), py::arg("log_sum_exp"), py::arg("total_weight"),
           py::arg("weight"), py::arg("reduction"), py::arg("ignore_index"), py::arg("label_smoothing"));
}

}  // namespace mt
