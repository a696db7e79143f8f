#include "bindings.h"

namespace mt {

void bind_activation(py::module_&) {}

}  // namespace mt
