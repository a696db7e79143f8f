#include "bindings.h"

namespace mt {

void bind_training(py::module_&) {}

}  // namespace mt
