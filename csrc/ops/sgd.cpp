#include "sgd.h"

#include <algorithm>

#include "kernel_table.h"

namespace mt {
namespace {

KernelTable sgd_table(kSgdOp, cpu::sgd_ladder);

void check_settings(const char* op, const SgdSettings& settings) {
    require<ValueError>(settings.lr >= 0, op, ": lr is ", settings.lr, "; wanted 0 or more");
    require<ValueError>(settings.momentum >= 0, op, ": momentum is ", settings.momentum, "; wanted 0 or more");
    require<ValueError>(settings.weight_decay >= 0, op, ": weight_decay is ", settings.weight_decay,
                        "; wanted 0 or more");
    require<ValueError>(!settings.nesterov || (settings.momentum > 0 && settings.dampening == 0), op,
                        ": nesterov wants momentum above 0 and dampening 0; got ", settings.momentum, " and ",
                        settings.dampening);
}

// The gradient or velocity of parameter number i.
void require_partner(const char* op, size_t i, const NDArray& parameter, const char* name, const NDArray& partner) {
    require_same_dtype(op, "a parameter", parameter, name, partner);
    require_same_device(op, "a parameter", parameter, name, partner);
    require<ValueError>(partner.shape() == parameter.shape(), op, ": the ", name, " of parameter ", i, " has shape ",
                        to_string(partner.shape()), "; wanted the parameter's, ", to_string(parameter.shape()));
}

// Arrays that are written, or written and read by different threads, must not share memory.
void require_apart(const char* op, const std::vector<NDArray>& parameters, const std::vector<NDArray>& velocities) {
    std::vector<std::pair<const char*, const char*>> spans;
    for (const auto* list : {&parameters, &velocities}) {
        for (const NDArray& array : *list) {
            const auto* begin = static_cast<const char*>(array.raw());
            if (array.size() > 0) spans.emplace_back(begin, begin + array.bytes());
        }
    }
    std::sort(spans.begin(), spans.end());
    for (size_t i = 1; i < spans.size(); i++) {
        require<ValueError>(spans[i - 1].second <= spans[i].first, op,
                            ": two of the parameters and velocities share memory; hand over every parameter once");
    }
}

}  // namespace

void sgd_step_(std::vector<NDArray>& parameters, const std::vector<NDArray>& gradients,
               std::vector<NDArray>& velocities, const SgdSettings& settings) {
    const char* op = "sgd_step_";
    check_settings(op, settings);
    const bool has_velocities = settings.momentum != 0;
    require<ValueError>(gradients.size() == parameters.size(), op, ": got ", parameters.size(), " parameters but ",
                        gradients.size(), " gradients");
    require<ValueError>(!has_velocities || velocities.size() == parameters.size(), op, ": got ", parameters.size(),
                        " parameters but ", velocities.size(), " velocities; with momentum every parameter has one");
    if (parameters.empty()) return;

    std::vector<SgdTensor> tensors;
    for (size_t i = 0; i < parameters.size(); i++) {
        NDArray& parameter = parameters[i];
        require_floating(op, "a parameter", parameter);
        require_same_dtype(op, "parameters[0]", parameters[0], "another parameter", parameter);
        require_same_device(op, "parameters[0]", parameters[0], "another parameter", parameter);
        require_partner(op, i, parameter, "gradient", gradients[i]);
        if (has_velocities) require_partner(op, i, parameter, "velocity", velocities[i]);
        tensors.push_back(
            {parameter.raw(), gradients[i].raw(), has_velocities ? velocities[i].raw() : nullptr, parameter.size()});
    }
    require_apart(op, parameters, has_velocities ? velocities : std::vector<NDArray>{});

    sgd_table.pick(parameters[0].device())(tensors, settings, parameters[0].dtype());
    for (NDArray& parameter : parameters) parameter.bump_version();
    if (has_velocities) {
        for (NDArray& velocity : velocities) velocity.bump_version();
    }
}

}  // namespace mt
